"""What a file is told to be by its first bytes, by table, and that no bytes are an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app.artifacts.sniffing import EXTENSIONS, MEDIA_TYPES, SNIFF_BYTES, media_type_of
from sample_app.simulated import media

FTYP = b"\x00\x00\x00\x18ftyp"

NOTHING = [
    b"",
    b"<!doctype html>",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"%PDF-1.7",
    b"GIF89a",
    b"\x89PNG\r\n\x1a\n",  # no header behind it
    b"\x89PNG\n\x1a\n\x00\x00\x00\x0dIHDR",
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xff",
    b"\xff\xd8\xff\x00",
    b"RIFF\x00\x00\x00\x00WAVEfmt ",
    b"RIFF\x00\x00\x00\x00WEBPXXXX",
    b"WEBPVP8L",
    FTYP + b"avif\x00\x00\x00\x00avifmif1",
    FTYP + b"heic\x00\x00\x00\x00heicmif1",
    FTYP + b"M4A \x00\x00\x00\x00M4A M4A ",
    b"\x00\x00\x00\x08ftyp",
    b"\xff\xff\xff\xffftypisom",
    b"\x00\x00\x00\x17ftypisom\x00\x00\x00\x00isomiso",
    b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska",
    b"PK\x03\x04",
    b"MZ",
    b"#!/bin/sh",
]


@pytest.mark.parametrize("media_format", MEDIA_TYPES)
def test_each_format_is_recognised(media_format: str) -> None:
    made = media.make(media_format, "a")

    assert media_type_of(made[:SNIFF_BYTES]) == MEDIA_TYPES[media_format]
    assert MEDIA_TYPES[media_format] in EXTENSIONS
    assert made != media.make(media_format, "b")


@pytest.mark.parametrize("head", NOTHING, ids=range(len(NOTHING)))
def test_is_none_of_them(head: bytes) -> None:
    assert media_type_of(head) is None


def test_all_were_there() -> None:
    assert (len(NOTHING), len(MEDIA_TYPES)) == (23, 5)


@given(
    st.binary(max_size=300)
    | st.sampled_from([media.make(one, "x") for one in MEDIA_TYPES]).flatmap(
        lambda made: st.integers(0, len(made)).map(lambda end: made[:end])
    )
)
def test_any_bytes_are_something_or_nothing(head: bytes) -> None:
    assert media_type_of(head) in (None, *MEDIA_TYPES.values())
