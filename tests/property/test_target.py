"""The request target: nothing is raised, what passes is what the app is given, and legal paths always pass."""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st

from bsguard import Protocol
from bsguard.core.request import Request
from bsguard.protocol.config import PATH_FORMS
from bsguard.protocol.target import target
from bsguard.testing import environ
from tests.property.support import app, joined, looks, native

API = {"SURFACES": [{"name": "api", "kind": "api"}]}
PLAIN = Protocol(app)
STRICT = Protocol(app, settings=API)
RAW = string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@|[]"
HEX = string.hexdigits

#: Pieces of targets that mean something to some reader.
pieces = joined(
    *("/", "//", ".", "..", ";", "a", "v1", "%", "%2", "%41", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", "%00", "%0d%0a"),
    *(
        "%25",
        "%252e",
        "41",
        "%c3%a9",
        "%e9",
        "%c0%ae",
        "\xc3\xa9",
        "\xff",
        "?",
        "#",
        " ",
        "{",
        "x=1",
        "http://",
        "localhost",
    ),
    *("%20", "%7f", "%c2%85", "~", "*", ":80", "@", "\0", "\t"),
)


def rules_of(sent: dict[str, Any], layer: Protocol = PLAIN) -> list[str]:
    request = Request.of(sent, layer.settings)[0]
    return [finding.rule for finding in target(request, layer.config)]


def decoded(raw: str) -> str:
    return unquote_to_bytes(raw.encode("latin-1").partition(b"#")[0]).decode("latin-1")


def sound(given_path: str, forms: tuple[str, ...] = ()) -> None:
    """All that must be true of a path that passed."""
    text = given_path.encode("latin-1").decode("utf-8")

    assert text.startswith("/")
    assert "\\" not in text
    assert not any(segment.partition(";")[0] in (".", "..") for segment in text.split("/"))
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in text)
    if "double-slash" not in forms:
        assert "//" not in text
    if "double-escape" not in forms:
        assert not any(
            text[at] == "%" and len(text) > at + 2 and text[at + 1] in HEX and text[at + 2] in HEX
            for at in range(len(text))
        )


def well_spelled(raw: str, forms: tuple[str, ...] = ()) -> None:
    """All that must be true of a path on the wire that passed."""
    path = raw.partition("?")[0]

    assert path.isascii()
    assert not set(path) & set(' "<>^`{}#\\')
    assert all(set(escape[:2]) <= set(HEX) and len(escape) >= 2 for escape in path.split("%")[1:])
    if "encoded-slash" not in forms:
        assert "%2f" not in path.lower()


@looks(150)
@given(
    st.sampled_from(["/", "/", ""]) | pieces, pieces | native(), st.sampled_from(["right", "other", "none"]), st.data()
)
@example("", "/a/..;/b", "right", None)
def test_what_passes_is_what_the_app_is_given(start: str, rest: str, kind: str, data: Any) -> None:
    raw = start + rest
    sent = environ("GET", "/", RAW_URI=raw, PATH_INFO=decoded(raw.partition("?")[0]))
    sent["QUERY_STRING"] = raw.partition("?")[2].partition("#")[0]
    if kind == "other" and data is not None:
        sent["PATH_INFO"] = data.draw(pieces | native())
    elif kind == "none":
        del sent["RAW_URI"]
    for layer in (PLAIN, STRICT):
        if not rules_of(dict(sent), layer):
            path = sent["PATH_INFO"]
            query = sent["QUERY_STRING"]
            assert query.isascii()
            assert not set(query) & set(" #")
            if not path:
                continue  # the root, as the server says it
            sound(path)
            if kind != "none" and raw.startswith("/"):
                well_spelled(raw)
                assert decoded(raw.partition("?")[0]) == path
                assert "#" not in raw


@looks(80)
@given(native(), native(20), native(20), native(30), st.sampled_from(["GET", "OPTIONS"]), st.booleans())
def test_no_bytes_at_all_raise_anything(raw: str, mount: str, path: str, query: str, method: str, fixed: bool) -> None:
    sent = environ(method, "/", RAW_URI=raw, SCRIPT_NAME=mount, PATH_INFO=path, QUERY_STRING=query)
    if fixed:
        sent["werkzeug.proxy_fix.orig"] = {"SCRIPT_NAME": mount, "REMOTE_ADDR": "127.0.0.1"}
    for layer in (PLAIN, STRICT):
        found = rules_of(dict(sent), layer)
        assert len(set(found)) == len(found) or found.count("protocol.target.characters") == 2
        if not found and raw.startswith("/"):
            assert decoded(raw.partition("?")[0]) == mount + path
            sound(mount + path)


@looks(60)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_text_that_is_not_native_raises_nothing(raw: str, path: str, query: str) -> None:
    sent = environ("GET", "/", RAW_URI=raw, PATH_INFO=path, QUERY_STRING=query)
    if not (path + query).isascii():
        assert isinstance(rules_of(sent), list)


segments = st.binary(min_size=1, max_size=8).map(lambda data: "".join(RAW[byte % len(RAW)] for byte in data))
unicode = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\%"), min_size=1, max_size=5)
legal_segments = (segments | unicode.map(lambda text: quote(text, safe=""))).filter(
    lambda segment: unquote_to_bytes(segment).partition(b";")[0] not in (b".", b"..")
)
legal_paths = st.lists(legal_segments, max_size=5).map(lambda parts: "/" + "/".join(parts))
legal_queries = st.binary(max_size=12).map(
    lambda data: quote(data.decode("latin-1"), safe="=&+/?:@!$'()*,;\"<>[]{}|^`")
)


@looks(80)
@given(
    legal_paths, st.sampled_from(["", "/"]), legal_queries, st.integers(0, 5), st.sampled_from(["path", "url", "none"])
)
def test_a_legal_target_always_passes(path: str, final: str, query: str, mounted: int, form: str) -> None:
    path += final if path != "/" else ""
    sent = environ("GET", path + ("?" + query if query else ""))
    sent["SCRIPT_NAME"], sent["PATH_INFO"] = sent["PATH_INFO"][:0], sent["PATH_INFO"]
    parts = sent["PATH_INFO"].split("/")
    if 0 < mounted < len(parts):
        sent["SCRIPT_NAME"], sent["PATH_INFO"] = "/".join(parts[:mounted]), "/" + "/".join(parts[mounted:])
    if form == "url":
        sent["RAW_URI"] = "http://LocalHost" + sent["RAW_URI"]
    elif form == "none":
        del sent["RAW_URI"]

    assert rules_of(dict(sent)) == []
    assert rules_of(dict(sent), STRICT) == []


LOOSE = [Protocol(app, {"PATH_FORMS": [form]}) for form in PATH_FORMS] + [Protocol(app, {"PATH_FORMS": PATH_FORMS})]


@looks(60)
@given(pieces, st.sampled_from(LOOSE))
def test_a_declared_form_loosens_that_form_and_nothing_else(rest: str, layer: Protocol) -> None:
    raw = "/" + rest
    sent = environ("GET", "/", RAW_URI=raw, PATH_INFO=decoded(raw.partition("?")[0]), QUERY_STRING="")
    forms: tuple[str, ...] = layer.config.path_forms
    strict, loose = rules_of(dict(sent)), rules_of(dict(sent), layer)

    assert set(strict) - set(loose) <= {f"protocol.target.{form}" for form in forms}
    if not loose:
        sound(sent["PATH_INFO"], forms)
        well_spelled(raw, forms)
