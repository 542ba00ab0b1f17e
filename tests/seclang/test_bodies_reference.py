"""Well-formed bodies give libmodsecurity's variables; of broken ones we say no less than it does."""

from __future__ import annotations

import json
import random
import string

import pytest

from bsguard.seclang.bodies import PROCESSORS, Limits, ParsedBody
from tests.seclang.reference import Reader
from tests.seclang.test_bodies import BROKEN_JSON, BROKEN_XML, FORM, ODD_FORMS, part

LIMITS = Limits()
CONTENT_TYPES = {
    "URLENCODED": "application/x-www-form-urlencoded",
    "JSON": "application/json",
    "XML": "application/xml",
    "MULTIPART": FORM.decode(),
}
VARIABLES = {
    name: (name, ())
    for name in ("ARGS", "FILES", "FILES_SIZES", "MULTIPART_PART_HEADERS", "XML:/*", "XML://@*", "REQBODY_ERROR")
}
TEXT = string.ascii_letters + " .-_/<>&;='\"é😀"


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(VARIABLES)


def ours(parsed: ParsedBody) -> dict[str, list[tuple[bytes, bytes]]]:
    found = {
        "ARGS": sorted(parsed.arguments),
        "FILES": list(parsed.files),
        "FILES_SIZES": [(name, b"%d" % size) for name, size in parsed.file_sizes],
        "MULTIPART_PART_HEADERS": sorted(parsed.part_headers),
        "XML:/*": [(b"/*", text) for text in parsed.xml_texts],
        "XML://@*": [(b"//@*", value) for value in parsed.xml_attributes],
        "REQBODY_ERROR": [(b"", b"1" if parsed.error else b"0")],
    }
    return {name: values for name, values in found.items() if values}


def compare(reader: Reader, processor: str, body: bytes) -> None:
    theirs = reader.read(body, CONTENT_TYPES[processor])
    theirs["REQBODY_ERROR"] = [(b"", value or b"0") for _, value in theirs["REQBODY_ERROR"]]
    for name in {"ARGS", "MULTIPART_PART_HEADERS"} & set(theirs):
        theirs[name].sort()  # it keeps them in hash tables

    assert ours(PROCESSORS[processor](body, CONTENT_TYPES[processor].encode(), LIMITS)) == theirs, body


def text(chance: random.Random, most: int = 8) -> str:
    return "".join(chance.choices(TEXT, k=chance.randrange(most + 1)))


def test_urlencoded(reader: Reader) -> None:
    chance = random.Random(1)
    pieces = (b"a", b"b=", b"=", b"+", b"%41", b"%", b"%4", b"%u0041", b";", b"%00", b"x&y", b"%26", b"%3D", b"%2b")
    for _ in range(300):
        compare(reader, "URLENCODED", b"k=" + b"".join(chance.choices(pieces, k=chance.randrange(8))))


def value(chance: random.Random, depth: int = 0) -> object:
    kind = chance.randrange(4 if depth > 3 else 6)
    if kind == 4:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 5:
        return {text(chance): value(chance, depth + 1) for _ in range(chance.randrange(4))}
    return (text(chance), chance.randrange(10**20), chance.random(), chance.choice([None, True, False]))[kind]


def test_json(reader: Reader) -> None:
    chance = random.Random(2)
    for number in range(300):
        compare(reader, "JSON", json.dumps(value(chance), ensure_ascii=bool(number % 2)).encode())


def element(chance: random.Random, depth: int = 0) -> str:
    plain = text(chance).translate(str.maketrans("<>&'\"", "lgaqd"))
    if depth > 3 or not chance.randrange(3):
        return chance.choice(
            [plain, "&lt;&#65;&amp;", f"<!--{plain.replace('-', '')}-->", f"<![CDATA[<{plain}]]>", "<?p x?>"]
        )
    inner = "".join(element(chance, depth + 1) for _ in range(chance.randrange(4)))
    return f"<e a='{plain}' b='&quot;'>{inner}</e>"


def test_xml(reader: Reader) -> None:
    chance = random.Random(3)
    for _ in range(300):
        compare(reader, "XML", f"<r xmlns:n='urn:x' n:c='d'>{element(chance)}{element(chance)}</r>".encode())


def test_multipart(reader: Reader) -> None:
    chance = random.Random(4)
    for _ in range(200):
        body = b""
        for number in range(chance.randrange(1, 4)):
            # Values in one line: of longer ones this version drops the line ends.
            name = (
                f'form-data; name="{number}{text(chance, 3).translate(str.maketrans(dict.fromkeys(chr(34) + "é😀")))}"'
            )
            if chance.randrange(2):
                name += f'; filename="{chance.choice(["x.txt", "a b;c", ""])}"'
            more = chance.choice([b"", b"Content-Type: text/plain\r\n", b"X-Y:  z\r\n"])
            body += part(name.encode(), text(chance).encode(), more)
        compare(reader, "MULTIPART", body + b"--B--\r\n")


def test_what_it_calls_broken_is_broken(reader: Reader) -> None:
    """We call more broken than it does, and read more of it."""
    bodies = [("JSON", "application/json", body) for body, *_ in BROKEN_JSON]
    bodies += [("XML", "application/xml", body) for body, *_ in BROKEN_XML]
    bodies += [("MULTIPART", kind.decode(), body) for body, kind, *_ in ODD_FORMS.values()]
    broken = 0
    for processor, content_type, body in bodies:
        theirs = reader.read(body, content_type)
        parsed = PROCESSORS[processor](body, content_type.encode(), LIMITS)
        if theirs["REQBODY_ERROR"] == [(b"", b"1")]:
            broken += 1
            assert parsed.error or parsed.strict_error, body
        if processor == "JSON":
            assert set(theirs.get("ARGS", [])) <= set(parsed.arguments), body

    assert broken > 50
