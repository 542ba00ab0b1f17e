"""Tiny but valid files of each format, coloured or labelled so that no two are the same."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Final

_WIDTH: Final = 48
_HEIGHT: Final = 32


def make(media_format: str, label: str) -> bytes:
    """A file in *media_format* (`png`, `jpeg`, `webp`, `mp4` or `webm`) that differs with *label*."""
    makers = {"png": _png, "jpeg": _jpeg, "webp": _webp, "mp4": _mp4, "webm": _webm}
    return makers[media_format](hashlib.sha256(label.encode()).digest())


def _png(digest: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = b"\x00" + digest[:3] * _WIDTH
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(row * _HEIGHT)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _jpeg(digest: bytes) -> bytes:
    """One grey pixel: a DC and an AC table of one code each, and the scan ``0`` ``0``, filled up with ones."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    one_code = bytes([1] + [0] * 15 + [0])
    parts = (
        segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
        segment(0xFE, digest.hex().encode()),
        segment(0xDB, b"\x00" + b"\x01" * 64),
        segment(0xC0, b"\x08\x00\x01\x00\x01\x01\x01\x11\x00"),
        segment(0xC4, b"\x00" + one_code),
        segment(0xC4, b"\x10" + one_code),
        segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"),
    )
    return b"\xff\xd8" + b"".join(parts) + b"\x3f\xff\xd9"


def _webp(digest: bytes) -> bytes:
    """One lossless pixel: five prefix codes of one symbol each, which take no bits to choose."""
    bits: list[int] = []

    def put(value: int, width: int) -> None:
        bits.extend(value >> place & 1 for place in range(width))

    put(0x2F, 8)
    put(0, 14)
    put(0, 14)
    put(0, 1 + 3)
    put(0, 3)  # no transform, no colour cache, no meta codes
    for value in (digest[0], digest[1], digest[2], 255):
        put(0b101, 3)  # simple, one symbol, of eight bits
        put(value, 8)
    put(0b001, 3)  # the distance code: simple, one symbol, of one bit
    put(0, 1)
    bits += [0] * (-len(bits) % 8)
    image = bytes(sum(bit << place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))
    padded = image + b"\x00" * (len(image) % 2)
    body = b"WEBPVP8L" + struct.pack("<I", len(image)) + padded
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _mp4(digest: bytes) -> bytes:
    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content) + 8) + kind + content

    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    header = struct.pack(">IIIIIIH10x", 0, 0, 0, 1_000, 0, 0x10000, 0x0100) + matrix + bytes(24) + struct.pack(">I", 1)
    movie = box(b"moov", box(b"mvhd", header))
    return box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2mp41") + movie + box(b"mdat", digest)


def _webm(digest: bytes) -> bytes:
    def element(identifier: bytes, content: bytes) -> bytes:
        return identifier + bytes([0x80 | len(content)]) + content

    header = element(b"\x42\x86", b"\x01") + element(b"\x42\x82", b"webm") + element(b"\x42\x87", b"\x04")
    info = element(b"\x15\x49\xa9\x66", element(b"\x2a\xd7\xb1", b"\x0f\x42\x40") + element(b"\x4d\x80", b"simulated"))
    segment = info + element(b"\xec", digest)
    return element(b"\x1a\x45\xdf\xa3", header) + element(b"\x18\x53\x80\x67", segment)
