"""What holds of any body: no exception, no limit passed, and what the app's own parser reads is read here too."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.formparser import MultiPartParser

from bsguard.seclang.bodies import PROCESSORS, Limits, ParsedBody, json_body
from bsguard.seclang.bodies.model import Arguments, LimitPassed
from tests.property.support import looks
from tests.seclang.bounded import ends, filled

LIMITS = Limits()
SMALL = Limits(
    body_bytes_max=40,
    arguments_max=3,
    name_bytes_max=24,
    names_bytes_max=60,
    depth_max=3,
    parts_max=2,
    part_headers_bytes_max=60,
)
FORM = b"multipart/form-data; boundary=B"


def joined(*pieces: bytes, size: int = 16) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(pieces), max_size=size).map(b"".join)


json_text = joined(
    *(b"[", b"]", b"{", b"}", b",", b":", b'"a"', b'"', b"\\", b"1", b"-", b"0", b".5", b"e9", b" ", b"true", b"null"),
    *(b"NaN", b'"a":', b'{"a":[1,', b"]}", rb'"\ud800"', b"\xff", b"\xc3\xa9", b"\n", b"/**/"),
)
xml_text = joined(
    *(b"<a>", b"</a>", b"<b x='1'>", b"</b>", b"<c/>", b"text", b"&lt;", b"&x;", b"<!--", b"-->", b"<![CDATA[", b"]]>"),
    *(b"<?xml version='1.0'?>", b"<!DOCTYPE a [", b"<!ENTITY x 'y'>", b"]>", b"\xff", b" ", b"<", b"&"),
)
form_text = joined(*(b"a", b"=", b"&", b"+", b"%", b"%41", b"%u0041", b";", b"\0", b"\xff", b"%3d", b"%26"))
LINE_ENDS = (b"\r\n", b"\r\n", b"\n", b"\r")
multipart_text = joined(
    *(
        b"--B",
        b"--B--",
        b"\r\n",
        b"\n",
        b"\r",
        b"--B\r\n",
        b"\r\n--B\r\n",
        b"\r\n--B--\r\n",
        b"--BC",
        b"--",
        b" ",
        b"x",
        b":",
    ),
    *(b'Content-Disposition: form-data; name="a"', b"Content-Disposition: form-data; name=b; filename=c", b"; name=d"),
    *(
        b'Content-Disposition: form-data; name="e"; filename="f"\r\n\r\n',
        b"content-disposition:x;name=g\r\n\r\n",
        b"\t",
    ),
    *(b"Content-Type: text/plain", b"\r\n\r\n", b"\n\n", b'"', b"'", b";", b"filename*=utf-8''h", b"value", b"\0"),
)
BODIES = {"JSON": json_text, "XML": xml_text, "URLENCODED": form_text, "MULTIPART": multipart_text}


@pytest.mark.parametrize("processor", BODIES)
@looks(300)
@given(data=st.data())
def test_any_body_is_read_within_the_limits(processor: str, data: Any) -> None:
    body = data.draw(BODIES[processor] | st.binary(max_size=60))
    content_type = data.draw(st.sampled_from([FORM, b"", b"boundary", b'; boundary="', b"; boundary=B;boundary=B"]))
    for limits in (LIMITS, SMALL):
        parsed = PROCESSORS[processor](body, content_type, limits)

        assert bool(parsed.limit) <= bool(parsed.error)
        assert len(parsed.arguments) <= limits.arguments_max
        assert len(parsed.xml_attributes) <= limits.arguments_max
        assert all(len(name) <= limits.name_bytes_max for name, _ in parsed.arguments)
        assert sum(len(name) for name, _ in parsed.arguments) <= limits.names_bytes_max
        assert parsed.limit or len(body) <= limits.body_bytes_max or processor == "MULTIPART"


@looks(300)
@given(form_text)
def test_urlencoded_is_read_as_everybody_reads_it(body: bytes) -> None:
    pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    theirs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    ours = PROCESSORS["URLENCODED"](body, b"", LIMITS).arguments

    assert list(ours) == theirs


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


@looks(300)
@given(json_text)
@example(b'{"a":[1,]}')
@example(b"[1,NaN]")
def test_what_an_app_reads_of_json_is_read_here_or_there_is_an_error(body: bytes) -> None:
    parsed = PROCESSORS["JSON"](body, b"", LIMITS)
    try:
        theirs = leaves(json.loads(body))
    except ValueError:
        assert parsed.error or not body
        return
    if not parsed.error:
        ours = [value for _, value in parsed.arguments]
        assert len(ours) >= len(theirs)
        texts = {leaf.encode("utf-8", "replace") for leaf in theirs if isinstance(leaf, str)}
        assert texts <= set(ours)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@looks(200)
@given(values, st.integers(1, 6), st.integers(1, 12))
def test_both_ways_of_reading_json_give_the_same(value: Any, depth_max: int, arguments_max: int) -> None:
    """The quick one, and the one that reads token by token what the quick one refuses."""
    limits = Limits(depth_max=depth_max, arguments_max=arguments_max)
    text = json.dumps(value)
    results: list[tuple[object, str]] = []
    for read in (
        lambda arguments: json_body._read_leaves(json_body._DECODER.decode(text), arguments, depth_max),
        lambda arguments: json_body._read_until_error(text, arguments, depth_max),
    ):
        arguments, limit = Arguments(limits), ""
        try:
            read(arguments)
        except LimitPassed as problem:
            limit = problem.limit
        results.append((arguments.pairs, limit))

    assert results[0] == results[1]


@looks(300)
@given(xml_text)
def test_what_an_app_reads_of_xml_is_read_here_or_there_is_an_error(body: bytes) -> None:
    parsed = PROCESSORS["XML"](body, b"", LIMITS)
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        assert parsed.error or not body
        return
    if not parsed.error:
        assert parsed.xml_texts == ("".join(root.itertext()).encode(),)
        attributes = [value.encode() for element in root.iter() for value in element.attrib.values()]
        assert sorted(parsed.xml_attributes) == sorted(attributes)


DISPOSITIONS = (
    *(
        b'form-data; name="a"',
        b"form-data;name=b",
        b'form-data; name="c"; filename="d"',
        b"form-data; filename=e; name=f",
    ),
    *(b'form-data; name="g"; filename=""', b'FORM-DATA; NAME="h"', b'form-data; name="i\\"j"', b"form-data; name='k'"),
    *(
        b'form-data; name="l;m"; filename="n;o"',
        b'form-data; name="p%22"',
        b"x; name=q",
        b'form-data; name="r" ; filename=s',
    ),
    *(b'form-data; name="t', b"form-data; name=u v", b'form-data; name="w"x', 'form-data; name="é"'.encode()),
)
CONTENTS = (
    b"",
    b"v",
    b"\r\n",
    b"x\r\ny",
    b"x\ny\r",
    b"--",
    b"\r\n--",
    b"--B",
    b"\r\n--C\r\n",
    b"\n--B\n",
    b"\xff",
    b": x",
)
line_ends = st.sampled_from((b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"))


@st.composite
def forms(draw: Any) -> bytes:
    """Forms that are nearly as they should be."""
    nearly_always = st.sampled_from((True,) * 9 + (False,))
    body = b"" if draw(nearly_always) else draw(st.sampled_from((b"\r\n", b"x\r\n", b"x")))
    for disposition, content in draw(
        st.lists(st.tuples(st.sampled_from(DISPOSITIONS), st.sampled_from(CONTENTS)), max_size=3)
    ):
        line_end = draw(line_ends)
        headers = [b"Content-Disposition: " + disposition]
        if not draw(nearly_always):
            headers.insert(
                draw(st.integers(0, 1)), draw(st.sampled_from((b"X: y", b" folded", b"x", b"Content-Type: a/b")))
            )
        padding = b"" if draw(nearly_always) else b" "
        body += b"--B" + padding + line_end + line_end.join(headers) + line_end * 2 + content + draw(line_ends)
    return body + (b"--B--" if draw(nearly_always) else b"") + draw(st.sampled_from((b"", b"\r\n", b"\n", b"x", b" ")))


def seen_by_werkzeug(body: bytes) -> tuple[list[tuple[str, str]], list[tuple[str, str, bytes]]] | None:
    try:
        form, files = MultiPartParser(stream_factory=lambda *_, **__: io.BytesIO()).parse(
            io.BytesIO(body), b"B", len(body)
        )
    except (ValueError, RuntimeError):
        return None
    return list(form.items(multi=True)), [
        (name, file.filename or "", file.stream.read()) for name, file in files.items(multi=True)
    ]


def unquoted(name: bytes) -> str:
    """``%22`` is how browsers write a quote; rules have always seen it as it stands."""
    return name.decode(errors="replace").replace("%22", '"')


@looks(1500)
@given(forms() | multipart_text)
@example(b"x--B\r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n--B--")
@example(b"--B\rContent-Disposition: form-data; name=a\r\rv\r--B--")
@example(b"--B \r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n--B--x")
def test_what_werkzeug_reads_of_a_form_is_read_here_or_there_is_an_error(body: bytes) -> None:
    parsed = PROCESSORS["MULTIPART"](body, FORM, LIMITS)
    theirs = seen_by_werkzeug(body)
    if parsed.error or theirs is None:
        return
    fields, files = theirs
    ours = [(unquoted(name), value.decode(errors="replace")) for name, value in parsed.arguments]

    assert set(fields) <= set(ours)
    for name, filename, content in files:
        kept = [(unquoted(ours_name), unquoted(ours_file)) for ours_name, ours_file in parsed.files]
        assert (name, filename) in kept or (name, content.decode(errors="replace")) in ours


HARDEST: dict[str, list[bytes]] = {
    "JSON": [b"[", b"{", b'{"a":', b'["', b'"\\', b"[1],", b"1,", b" ", b"-", b"[[", b'"a":1,', b'[{"a":', b"\\u0041"],
    "XML": [b"<a>", b"<a", b"<a b='", b"<!--", b"<![CDATA[", b"&lt;", b"&", b"<?x ", b"<a b='1' c", b"]]>", b"\n"],
    "URLENCODED": [b"a=1&", b"&", b"=", b"%", b"%41", b"+", b"a"],
    "MULTIPART": [
        *(b"--B", b"--B\r\n", b"\r\n--B\r\n", b"\r\n", b"\r", b"--", b"a: b\r\n", b" ", b"a", b";", b'"', b"\\"),
        *(
            b"name=a;",
            b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n",
            b'; name="a',
            b"; name=a",
            b"; filename*=''",
        ),
    ],
}


@pytest.mark.parametrize("processor", HARDEST)
def test_large_bodies_come_to_an_end(processor: str) -> None:
    everything = Limits(2**40, 2**40, 2**40, 2**40, 500, 2**40, 2**40)
    opening = b"--B\r\nContent-Disposition: form-data"
    for piece in HARDEST[processor]:
        for before in (b"", b"[", b"<a>", b"<a ", opening, opening + b'; name="', opening + b"; name=a\r\n\r\n"):
            for limits in (LIMITS, everything):
                with ends((before, piece)):
                    parsed = PROCESSORS[processor](before + filled(piece), FORM, limits)

                assert isinstance(parsed, ParsedBody)
