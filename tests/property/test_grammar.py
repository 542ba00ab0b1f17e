"""Media types, authorities and credentials: what is legal is read, what is not is refused, nothing is raised."""

from __future__ import annotations

import ipaddress
import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bsguard import Protocol
from bsguard.core import grammar
from bsguard.core.media import MediaType, parse_media_type
from bsguard.core.request import Request, parse_authority
from bsguard.testing import environ
from tests.property.support import addresses, app, joined, looks, native

TOKEN = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
tokens = st.text(TOKEN, min_size=1, max_size=10)
spaces = st.text(" \t", max_size=2)
quoted_text = native(8).map(lambda text: "".join(c for c in text if c == "\t" or (c >= " " and c != "\x7f")))


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@looks(100)
@given(tokens, tokens, st.dictionaries(tokens.map(str.lower), tokens | quoted_text, max_size=4), st.data())
def test_a_media_type_that_is_written_properly_is_read_back(
    kind: str, subtype: str, parameters: dict[str, str], data: Any
) -> None:
    raw = f"{kind}/{subtype}"
    for name, value in parameters.items():
        if data.draw(st.booleans()):
            raw += data.draw(spaces) + ";"  # an empty parameter
        plain = value and set(value) <= set(TOKEN)
        raw += data.draw(spaces) + ";" + data.draw(spaces) + name + "=" + (value if plain else quoted(value))

    assert parse_media_type(raw) == MediaType(f"{kind}/{subtype}".lower(), tuple(parameters.items()))


@looks(100)
@given(native() | joined("a/b", ";", "charset", "=", '"', "\\", "utf-8", " ", "\t", ",", "a", "/", "\x00", "\xe9"))
def test_any_text_is_one_media_type_or_none(raw: str) -> None:
    found = parse_media_type(raw)
    if found is not None:
        kind, _, subtype = found.essence.partition("/")
        names = [name for name, _ in found.parameters]
        assert found.essence == found.essence.lower()
        assert grammar.TOKEN.fullmatch(kind)
        assert grammar.TOKEN.fullmatch(subtype)
        assert len(set(names)) == len(names)
        assert "," not in raw.partition(";")[0]
        written = found.essence + "".join(f";{name}={quoted(value)}" for name, value in found.parameters)
        assert parse_media_type(written) == found


labels = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=20)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
ports = st.none() | st.integers(0, 65_535)


@looks(60)
@given(names | addresses().map(str), st.sampled_from(["", "."]), ports)
def test_a_host_name_with_or_without_a_port_is_an_authority(name: str, dot: str, port: int | None) -> None:
    raw = name + dot + ("" if port is None else f":{port}")

    assert parse_authority(raw) == (name.lower(), port)


@looks(60)
@given(addresses("::/0"), ports)
def test_six_in_brackets_with_or_without_a_port_is_an_authority(
    address: ipaddress.IPv6Address, port: int | None
) -> None:
    for text in (str(address), address.exploded.upper()):
        raw = f"[{text}]" + ("" if port is None else f":{port}")
        assert parse_authority(raw) == (f"[{text.lower()}]", port)


@looks(100)
@given(
    native()
    | joined("a", ".", ":", "80", "[", "]", "::1", "@", "/", "\\", " ", ",", "_", "-", "%", "#", "\n", "é")
    | joined("1", "f", ":", "::", ".").map(lambda text: f"[{text}]")
)
def test_any_text_is_one_authority_or_none(raw: str) -> None:
    found = parse_authority(raw)
    if found is not None:
        host, port = found
        assert not set(raw) & set(" \t\r\n\0,;@/\\?#%\"'<>{}|^`")
        assert raw.isascii()
        assert host == host.lower()
        assert port is None or 0 <= port <= 65_535
        if host.startswith("["):
            ipaddress.IPv6Address(host[1:-1])
        else:
            assert host
            assert ":" not in host
            assert ".." not in host
            assert host[0] not in ".-"


LAYER = Protocol(app)


def authorization_rules(value: str) -> list[str]:
    request = Request.of(environ(headers={"Authorization": value}), LAYER.settings)[0]
    return [one.rule for one in LAYER.inspect_head(request).findings if "authorization" in one.rule]


token68 = st.builds(
    str.__add__,
    st.text(string.ascii_letters + string.digits + "-._~+/", min_size=1, max_size=20),
    st.sampled_from(["", "=", "=="]),
)
schemes = tokens.filter(lambda token: token.lower() not in ("bearer", "basic"))


@looks(60)
@given(tokens, token68, st.integers(1, 3))
def test_a_credential_of_one_token_is_legal(scheme: str, token: str, gap: int) -> None:
    assert authorization_rules(scheme + " " * gap + token) == []
    assert authorization_rules(scheme) == []


@looks(60)
@given(schemes, st.lists(st.tuples(tokens, tokens | quoted_text.map(quoted)), min_size=1, max_size=4))
def test_a_credential_of_parameters_is_legal(scheme: str, parameters: list[tuple[str, str]]) -> None:
    assert authorization_rules(f"{scheme} " + ", ".join(f"{name}={value}" for name, value in parameters)) == []


@looks(60)
@given(tokens, token68, tokens, token68, st.sampled_from([",", ", ", " , ", ",,"]))
def test_two_credentials_are_never_one(one: str, first: str, two: str, second: str, comma: str) -> None:
    assert authorization_rules(f"{one} {first}{comma}{two} {second}") == ["protocol.authorization.invalid"]


@looks(100)
@given(
    native()
    | joined("Bearer", "Basic", "Digest", " ", ",", "=", '"', "a", "a=b", "\\", "\t", "\n", "\xff", max_size=20)
)
def test_any_text_is_a_credential_or_one_finding(value: str) -> None:
    rules = authorization_rules(value)

    assert len(rules) <= 1
    if not rules and value.partition(" ")[0].lower() in ("bearer", "basic"):
        assert "," not in value
        assert '"' not in value


@looks(60)
@given(native(20) | st.from_regex(grammar.CONTENT_LENGTH, fullmatch=True))
def test_a_content_length_is_digits_and_nothing_else(value: str) -> None:
    request = Request.of(environ("POST", CONTENT_LENGTH=value), LAYER.settings)[0]
    rules = [one.rule for one in LAYER.inspect_head(request).findings]
    plain = value == "" or (value.isascii() and value.isdigit() and len(value) <= 15)

    assert ("protocol.framing.content-length" not in rules) is plain
    assert request.body.length == (int(value) if plain and value else 0)
    assert bool(request.body.misframed) is not plain
