"""Request bodies: what the rules read of them, what is said of broken ones, and where reading ends."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from bsguard.seclang.bodies import PROCESSORS, Limits, ParsedBody, parse_urlencoded

LIMITS = Limits()
FORM = b"multipart/form-data; boundary=B"


def parse(processor: str, body: bytes, content_type: bytes = FORM, limits: Limits = LIMITS) -> ParsedBody:
    return PROCESSORS[processor](body, content_type, limits)


URLENCODED: list[tuple[bytes, tuple[tuple[bytes, bytes], ...]]] = [
    (b"", ()),
    (b"&", ()),
    (b"a", ((b"a", b""),)),
    (b"a=1&a=2&b=", ((b"a", b"1"), (b"a", b"2"), (b"b", b""))),
    (b"&&=c&c==d", ((b"", b"c"), (b"c", b"=d"))),
    (b"a%20b+c=%41+%zz%", ((b"a b c", b"A %zz%"),)),
    (b"a=1;b=2", ((b"a", b"1;b=2"),)),
    (b"n=%00%ff%u0041", ((b"n", b"\0\xff%u0041"),)),
]


@pytest.mark.parametrize(("body", "arguments"), URLENCODED)
def test_urlencoded(body: bytes, arguments: tuple[tuple[bytes, bytes], ...]) -> None:
    assert parse_urlencoded(body, LIMITS) == ParsedBody(arguments)
    assert parse("URLENCODED", body) == ParsedBody(arguments)


JSON: list[tuple[bytes, dict[bytes, bytes]]] = [
    (b"", {}),
    (b"[]", {}),
    (b"{}", {}),
    (b'"s"', {b"json": b"s"}),
    (b"1.50e3", {b"json": b"1.50e3"}),
    (b"[1,[2,[]],{}]", {b"json.array_0": b"1", b"json.array_1.array_0": b"2"}),
    (b'{"a":true,"b":false,"c":null}', {b"json.a": b"true", b"json.b": b"false", b"json.c": b""}),
    (b'{"a.b":{"":"e"}}', {b"json.a.b.empty-key": b"e"}),
    (b'{"a":[{"x":1},{"x":2}]}', {b"json.a.array_0.x": b"1", b"json.a.array_1.x": b"2"}),
    (b'{"a":"\\ud83d\\ude00\\u0000\\ud800"}', {b"json.a": "😀\0?".encode()}),
    (b'{"big":' + b"9" * 6000 + b"}", {b"json.big": b"9" * 6000}),
    (b"[" * 256 + b"1" + b"]" * 256, {b"json" + b".array_0" * 256: b"1"}),
]


@pytest.mark.parametrize(("body", "arguments"), JSON, ids=range(len(JSON)))
def test_json(body: bytes, arguments: dict[bytes, bytes]) -> None:
    parsed = parse("JSON", body)

    assert parsed == ParsedBody(tuple(arguments.items()))


def test_json_keeps_keys_that_come_twice() -> None:
    assert parse("JSON", b'{"a":1,"a":{"a":2}}').arguments == ((b"json.a", b"1"), (b"json.a.a", b"2"))


BROKEN_JSON: list[tuple[bytes, tuple[bytes, ...], str]] = [
    (b'{"a":1', (b"1",), "not valid JSON"),
    (b'{"a":1}x', (b"1",), "not valid JSON"),
    (b'{"a":1,}', (b"1",), "not valid JSON"),
    (b"[1,2,]", (b"1", b"2"), "not valid JSON"),
    (b"[1 2]", (b"1",), "not valid JSON"),
    (b'{"a" 1}', (), "not valid JSON"),
    (b'{"a":01}', (b"0",), "not valid JSON"),
    (b'["a","b', (b"a",), "not valid JSON"),
    (b'["a","\n"]', (b"a",), "not valid JSON"),
    (b"[1]]", (b"1",), "not valid JSON"),
    (b"[1}", (b"1",), "not valid JSON"),
    (b"[1,NaN]", (b"1",), "not valid JSON"),
    (b"[1,/**/2]", (b"1",), "not valid JSON"),
    (b"   ", (), "not valid JSON"),
    (b'["\xff"]', ("\ufffd".encode(),), "JSON that is not UTF-8"),
    ('["ä"]'.encode("utf-16"), ("ä".encode(),), "JSON that is not UTF-8"),
    ('["ä"]'.encode("utf-32-be"), ("ä".encode(),), "JSON that is not UTF-8"),
    (b"\xef\xbb\xbf[1]", (b"1",), "JSON that starts with a byte order mark (RFC 8259 §8.1)"),
]


@pytest.mark.parametrize(("body", "values", "error"), BROKEN_JSON, ids=range(len(BROKEN_JSON)))
def test_broken_json(body: bytes, values: tuple[bytes, ...], error: str) -> None:
    parsed = parse("JSON", body)

    assert tuple(value for _, value in parsed.arguments) == values
    assert (parsed.error, parsed.limit) == (error, "")


def part(disposition: bytes, content: bytes = b"v", more: bytes = b"", line_end: bytes = b"\r\n") -> bytes:
    head = b"--B" + line_end + b"Content-Disposition: " + disposition + line_end + more
    return head + line_end + content + line_end


END = b"--B--\r\n"
A = part(b'form-data; name="a"')


def test_multipart() -> None:
    body = (
        part(b'form-data; name="a"', b"1\r\n2\n3\r4\r\n")
        + part(
            b'form-data; name="f"; filename="x;\'\\".txt"', b"\r\n--\r\n", b"Content-Type: text/plain\r\nX-y:  z \r\n"
        )
        + part(b"FORM-DATA;name=a;", b"")
        + part(b'form-data; name="g"; filename=""', b"as a field")
        + END
    )

    assert parse("MULTIPART", body) == ParsedBody(
        arguments=((b"a", b"1\r\n2\n3\r4\r\n"), (b"a", b""), (b"g", b"as a field")),
        files=((b"f", b"x;'\".txt"),),
        file_sizes=((b"f", 6),),
        part_headers=(
            (b"a", b'Content-Disposition: form-data; name="a"'),
            (b"f", b'Content-Disposition: form-data; name="f"; filename="x;\'\\".txt"'),
            (b"f", b"Content-Type: text/plain"),
            (b"f", b"X-y:  z "),
            (b"a", b"Content-Disposition: FORM-DATA;name=a;"),
            (b"g", b'Content-Disposition: form-data; name="g"; filename=""'),
        ),
    )


NO_BOUNDARY = "multipart without one clear boundary in Content-Type"
BAD_PART = "a part without one clear Content-Disposition"
BAD_HEADER = "a part with an invalid header"
NO_END = "multipart without its final boundary"
NO_PARTS = "multipart without its boundary in the body"
BAD_BOUNDARY = "multipart with its boundary where it is none"
BOTH = "CRLF_LF_LINES LF_LINE"

#: Body, Content-Type, the values that are read all the same, flags, error.
ODD_FORMS: dict[str, tuple[bytes, bytes, list[bytes], str, str]] = {
    "no final boundary": (A, FORM, [b"v\r\n"], "", NO_END),
    "nothing but a boundary": (b"--B\r\n", FORM, [], "", NO_END),
    "no boundary at all": (b"junk", FORM, [], "DATA_BEFORE", NO_PARTS),
    "data before": (b"x\r\n" + A + END, FORM, [b"v"], "DATA_BEFORE", ""),
    "data before in the same line": (b"x" + A + END, FORM, [b"v"], "DATA_BEFORE UNMATCHED_BOUNDARY", BAD_BOUNDARY),
    "data after": (A + END + b"x", FORM, [b"v"], "DATA_AFTER", ""),
    "a second form after": (A + END + A + END, FORM, [b"v"], "DATA_AFTER", ""),
    "no line end after": (A + b"--B--", FORM, [b"v"], "", ""),
    "lines end in LF": (part(b"form-data; name=a", line_end=b"\n") + b"--B--\n", FORM, [b"v"], "LF_LINE", ""),
    "lines end in CR": (
        part(b"form-data; name=a", line_end=b"\r") + b"--B--\r",
        FORM,
        [b"v"],
        "DATA_AFTER LF_LINE",
        "",
    ),
    "lines end in both": (A + part(b"form-data; name=b", line_end=b"\n") + END, FORM, [b"v", b"v"], BOTH, ""),
    "a longer boundary within": (
        part(b"form-data; name=a", b"x\r\n--Bc\r\ny") + END,
        FORM,
        [b"x\r\n--Bc\r\ny"],
        "UNMATCHED_BOUNDARY",
        BAD_BOUNDARY,
    ),
    "a boundary within a line": (
        part(b"form-data; name=a", b"x--B\r\ny") + END,
        FORM,
        [b"x--B\r\ny"],
        "UNMATCHED_BOUNDARY",
        BAD_BOUNDARY,
    ),
    "a space behind the boundary": (A.replace(b"--B", b"--B ") + END, FORM, [b"v"], "UNMATCHED_BOUNDARY", BAD_BOUNDARY),
    "header folding": (part(b'form-data;\r\n name="a"') + END, FORM, [b"v"], "HEADER_FOLDING", ""),
    "folding of nothing": (
        b'--B\r\n Content-Disposition: form-data; name="a"\r\n\r\nv\r\n' + END,
        FORM,
        [b"v"],
        "INVALID_HEADER_FOLDING INVALID_PART",
        BAD_HEADER,
    ),
    "a header without colon": (part(b"form-data; name=a", more=b"x\r\n") + END, FORM, [b"v"], "", BAD_HEADER),
    "a header without name": (part(b"form-data; name=a", more=b": x\r\n") + END, FORM, [b"v"], "", BAD_HEADER),
    "a space before the colon": (part(b"form-data; name=a", more=b"x : y\r\n") + END, FORM, [b"v"], "", BAD_HEADER),
    "a NUL in a header": (part(b'form-data; name="a\0"') + END, FORM, [b"v"], "INVALID_PART", BAD_HEADER),
    "headers without an end": (b"--B\r\nContent-Disposition: form-data; name=a\r\n" + END, FORM, [b""], "", BAD_HEADER),
    "no headers": (b"--B\r\n\r\nv\r\n" + END, FORM, [b"v"], "INVALID_PART", BAD_PART),
    "no disposition": (b"--B\r\nX: y\r\n\r\nv\r\n" + END, FORM, [b"v"], "INVALID_PART", BAD_PART),
    "two dispositions": (
        part(b"form-data; name=a", more=b"Content-Disposition: form-data; name=b\r\n") + END,
        FORM,
        [b"v", b"v"],
        "INVALID_PART",
        BAD_PART,
    ),
    "another disposition": (part(b"attachment; name=a") + END, FORM, [b"v"], "INVALID_PART", BAD_PART),
    "no name": (part(b"form-data") + END, FORM, [b"v"], "INVALID_PART", BAD_PART),
    "an empty name": (part(b'form-data; name=""') + END, FORM, [b"v"], "INVALID_PART", BAD_PART),
    "two names": (part(b"form-data; name=a; name=b") + END, FORM, [b"v", b"v"], "INVALID_PART", BAD_PART),
    "two file names": (
        part(b"form-data; name=a; filename=x; filename=y") + END,
        FORM,
        [b"v"],
        "INVALID_PART",
        BAD_PART,
    ),
    "an extended file name": (
        part(b"form-data; name=a; filename*=UTF-8''%41.php") + END,
        FORM,
        [b"v"],
        "INVALID_PART INVALID_QUOTING",
        BAD_PART,
    ),
    "single quotes": (part(b"form-data; name='a'") + END, FORM, [b"v"], "INVALID_PART INVALID_QUOTING", BAD_PART),
    "an open quote": (part(b'form-data; name="a') + END, FORM, [b"v"], "INVALID_PART INVALID_QUOTING", BAD_PART),
    "nothing but a quote": (
        part(b'form-data; name="') + END,
        FORM,
        [b"v"],
        "INVALID_PART INVALID_QUOTING",
        BAD_PART,
    ),
    "a bare value of two words": (
        part(b"form-data; name=a b") + END,
        FORM,
        [b"v"],
        "INVALID_PART INVALID_QUOTING",
        BAD_PART,
    ),
    "something behind a quote": (part(b'form-data; name="a"b') + END, FORM, [b"v"], "INVALID_PART", BAD_PART),
    "an unknown parameter": (part(b"form-data; name=a; size=1") + END, FORM, [b"v"], "INVALID_PART", BAD_PART),
    "a parameter without value": (part(b"form-data; name=a; x") + END, FORM, [b"v"], "INVALID_PART", BAD_PART),
    "a quoted boundary": (A + END, b'multipart/form-data; boundary="B"', [b"v"], "BOUNDARY_QUOTED", ""),
    "white space in the boundary": (A + END, b"multipart/form-data; boundary= B", [b"v"], "BOUNDARY_WHITESPACE", ""),
    "no semicolon": (A + END, b"multipart/form-data boundary=B", [b"v"], "MISSING_SEMICOLON", ""),
    "two boundaries": (A + END, b"multipart/form-data; boundary=B; boundary=C", [b"v"], "", NO_BOUNDARY),
    "a boundary that is replaced by one in parts": (
        A + END,
        b"multipart/form-data; boundary=B; boundary*0=C",
        [b"v"],
        "",
        NO_BOUNDARY,
    ),
    "a boundary that is replaced by one with a charset": (
        A + END,
        b"multipart/form-data; boundary=B; boundary*=utf-8''C",
        [b"v"],
        "",
        NO_BOUNDARY,
    ),
    "a boundary in upper case": (A + END, b"multipart/form-data; BOUNDARY=B", [b"v"], "", NO_BOUNDARY),
    "no boundary in Content-Type": (A + END, b"multipart/form-data", [], "", NO_BOUNDARY),
    "an empty boundary": (A + END, b"multipart/form-data; boundary=", [], "", NO_BOUNDARY),
    "a boundary of other characters": (
        b"--{\r\n" + A[5:],
        b"multipart/form-data; boundary={",
        [b"v\r\n"],
        "",
        NO_BOUNDARY,
    ),
}


@pytest.mark.parametrize("name", ODD_FORMS)
def test_odd_forms(name: str) -> None:
    body, content_type, values, flags, error = ODD_FORMS[name]
    parsed = parse("MULTIPART", body, content_type)

    assert [value for _, value in parsed.arguments] == values
    assert " ".join(sorted(parsed.flags)) == flags
    assert (parsed.error, parsed.limit) == (error, "")
    loose = {"UNMATCHED_BOUNDARY", "CRLF_LF_LINES"}
    assert parsed.strict_error is bool(error or parsed.flags - loose)


def test_a_disposition_may_be_spaced_out() -> None:
    parsed = parse("MULTIPART", part(b'form-data ; NAME = "a" ;; ;\tFileName = "x\\"y" ;') + END)

    assert (parsed.error, parsed.files) == ("", ((b"a", b'x"y'),))


def test_a_folded_header_is_one_line() -> None:
    parsed = parse("MULTIPART", part(b"form-data; name=a", more=b"X: y \r\n\t z\r\n") + END)

    assert parsed.part_headers[1] == (b"a", b"X: y  z")


def test_an_extended_file_name_is_read() -> None:
    parsed = parse("MULTIPART", part(b"form-data; name=a; filename*=UTF-8''%41.php") + END)

    assert parsed.files == ((b"a", b"A.php"),)


XML: list[tuple[bytes, tuple[bytes, ...], tuple[bytes, ...]]] = [
    (b"", (), ()),
    (b"<a/>", (b"",), ()),
    (b'<a x="1" y="2"><b z="3">t1</b> t2<!-- c --><![CDATA[<cd>]]><?pi x?></a>', (b"t1 t2<cd>",), (b"1", b"2", b"3")),
    (b"<a>&lt;&#65;&amp;</a>", (b"<A&",), ()),
    (b'<a xmlns="u" xmlns:n="v"><n:b n:c="&#34;d"/></a>', (b"",), (b'"d',)),
    (b'<?xml version="1.0" encoding="iso-8859-1"?><a>\xe9</a>', ("é".encode(),), ()),
    ("<a>é</a>".encode("utf-16"), ("é".encode(),), ()),
    (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a>x</a>', (b"x",), ()),
]


@pytest.mark.parametrize(("body", "texts", "attributes"), XML, ids=range(len(XML)))
def test_xml(body: bytes, texts: tuple[bytes, ...], attributes: tuple[bytes, ...]) -> None:
    parsed = parse("XML", body)

    assert replace(parsed, xml_runs=()) == ParsedBody(xml_texts=texts, xml_attributes=attributes)
    assert b"".join(parsed.xml_runs).replace(b" ", b"") == b"".join(texts).replace(b" ", b"")


def test_every_text_of_xml_stands_by_itself() -> None:
    parsed = parse("XML", b"<a>one<b> two &amp; <![CDATA[<3>]]></b>\n  <c/>\n<d>four</d></a>")

    assert parsed.xml_runs == (b"one", b" two & <3>", b"four")


BROKEN_XML: list[tuple[bytes, tuple[bytes, ...], tuple[bytes, ...], str]] = [
    (b"<a>", (b"",), (), "not well-formed XML"),
    (b"<a x='1'>one</b>", (b"one",), (b"1",), "not well-formed XML"),
    (b"<a><b>one</b><b", (b"one",), (), "not well-formed XML"),
    (b"text", (), (), "not well-formed XML"),
    (b"<a/>x", (b"",), (), "not well-formed XML"),
    (b'<a x="1" x="2"/>', (), (), "not well-formed XML"),
    (b"<a>\xff</a>", (b"",), (), "not well-formed XML"),
    (b"<a>one&x;</a>", (b"one",), (), "not well-formed XML"),
    (b'<?xml version="1.0" encoding="utf-7"?><a>b</a>', (), (), "not well-formed XML"),
    (b'<?xml version="1.0" encoding="shift_jis"?><a>b</a>', (), (), "not well-formed XML"),
    (b'<?xml version="1.0" encoding="no such"?><a>b</a>', (), (), "not well-formed XML"),
    (b'<!DOCTYPE a [<!ENTITY x "inner">]><a>&x;</a>', (b"inner",), (), "XML that declares an entity"),
    (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///x">]><a>&x;</a>', (b"file:///x",), (), "XML that declares an entity"),
    (b'<!DOCTYPE a [<!ENTITY % x "y">]><a/>', (b"y",), (), "XML that declares an entity"),
]


@pytest.mark.parametrize(("body", "texts", "attributes", "error"), BROKEN_XML, ids=range(len(BROKEN_XML)))
def test_broken_xml(body: bytes, texts: tuple[bytes, ...], attributes: tuple[bytes, ...], error: str) -> None:
    parsed = replace(parse("XML", body), xml_runs=())

    assert parsed == ParsedBody(xml_texts=texts, xml_attributes=attributes, error=error)


def test_an_entity_is_not_expanded_however_often_it_is_used() -> None:
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 10))
    parsed = parse("XML", b'<!DOCTYPE a [<!ENTITY l0 "ha">' + laughs + b"]><a b='&l9;'>&l9;</a>")

    assert parsed.error == "XML that declares an entity"
    assert parsed.xml_texts == (b"ha",)


#: The limit, set low; a processor; the largest body that it lets through; one that it does not; what is read of that.
LIMITED: list[tuple[str, int, str, bytes, bytes, int]] = [
    ("body_bytes_max", 7, "URLENCODED", b"a=1&b=2", b"a=1&b=23", 2),
    ("body_bytes_max", 5, "JSON", b"[1,2]", b"[1,23]", 2),
    ("body_bytes_max", 8, "XML", b"<a>x</a>", b"<a>xy</a>", 1),
    ("body_bytes_max", 2 * len(A[3:-2]), "MULTIPART", A + A + END, A + part(b'form-data; name="a"', b"vw") + END, 2),
    ("arguments_max", 2, "URLENCODED", b"a&b", b"a&b&c", 2),
    ("arguments_max", 2, "JSON", b"[1,2]", b"[1,2,3]", 2),
    ("arguments_max", 2, "XML", b"<a b='' c=''/>", b"<a b='' c=''><d e=''/></a>", 3),
    ("arguments_max", 1, "MULTIPART", A + END, A + A + END, 1),
    ("name_bytes_max", 2, "URLENCODED", b"ab=1", b"ab=1&abc=1", 1),
    ("name_bytes_max", 6, "JSON", b'{"a":1}', b'{"a":1,"ab":1}', 1),
    ("name_bytes_max", 1, "MULTIPART", A + END, part(b"form-data; name=ab") + END, 0),
    ("names_bytes_max", 4, "URLENCODED", b"ab=1&cd", b"ab=1&cd&e", 2),
    ("names_bytes_max", 16, "JSON", b'{"a":1,"b":1}', b'{"a":1,"b":1,"c":1}', 2),
    ("names_bytes_max", 24, "JSON", b'{"a":[],"b":{}}', b'{"a":[],"b":{},"abcd":[]}', 0),
    ("depth_max", 2, "JSON", b'[1,{"a":2}]', b'[1,{"a":[2]}]', 1),
    ("depth_max", 2, "JSON", b'[1,{"a":2}]', b'[1,{"a":[2}]', 1),
    ("depth_max", 2, "XML", b"<a>x<b/></a>", b"<a>x<b><c/></b></a>", 1),
    ("parts_max", 2, "MULTIPART", A + A + END, A + A + A + END, 2),
    ("part_headers_bytes_max", 46, "MULTIPART", A + END, A + part(b'form-data; name="aa"') + END, 1),
]


@pytest.mark.parametrize(("name", "value", "processor", "within", "beyond", "read"), LIMITED)
def test_limits(name: str, value: int, processor: str, within: bytes, beyond: bytes, read: int) -> None:
    limits = replace(LIMITS, **{name: value})
    passes, fails = parse(processor, within, limits=limits), parse(processor, beyond, limits=limits)

    assert (passes.error, passes.limit) == ("", "")
    assert (fails.error, fails.limit) == (f"more than {name} allows", name)
    assert len(fails.arguments + fails.xml_texts + fails.xml_attributes) == read
    assert ("FILE_LIMIT_EXCEEDED" in fails.flags) is (name == "parts_max")
    assert fails.strict_error is (processor == "MULTIPART")


def test_every_limit_has_a_case() -> None:
    assert {name for name, *_ in LIMITED} == {field.name for field in fields(Limits)}


def test_files_do_not_count_against_the_bytes_of_a_body() -> None:
    body = part(b"form-data; name=f; filename=x", b"\r\n--C" * 100_000) + A + END
    parsed = parse("MULTIPART", body)

    assert parsed.error == ""
    assert parsed.file_sizes == ((b"f", 500_000),)
    assert parsed.arguments == ((b"a", b"v"),)
