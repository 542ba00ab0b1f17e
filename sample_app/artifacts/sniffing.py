"""What a file is, told from its first bytes: what anybody declares it to be is only compared with that."""

from __future__ import annotations

import struct
from typing import Final

# Enough for the longest look below: the DocType of a WebM file lies in its first header.
SNIFF_BYTES: Final = 256

EXTENSIONS: Final = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/webm": "webm",
}
MEDIA_TYPES: Final = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "webm": "video/webm",
}

_PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_JPEG: Final = b"\xff\xd8\xff"
_EBML: Final = b"\x1a\x45\xdf\xa3"
_DOC_TYPE_WEBM: Final = b"\x42\x82\x84webm"
# ISO/IEC 14496-12, "file type box": a major brand and the compatible ones. Those of still images and audio are left
# out: `avif`, `heic` and `M4A ` are no videos.
_BRANDS: Final = frozenset({b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V "})


def media_type_of(head: bytes) -> str | None:
    """The media type of a file that begins with *head* (at least `SNIFF_BYTES` of it, or all); None if unknown."""
    if head.startswith(_PNG):
        return "image/png"
    # SOI is followed by another marker, and no marker is FF00 or FFFF.
    if head.startswith(_JPEG) and len(head) > 3 and head[3] not in (0x00, 0xFF):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP" and head[12:16] in (b"VP8 ", b"VP8L", b"VP8X"):
        return "image/webp"
    if _is_mp4(head):
        return "video/mp4"
    if head.startswith(_EBML) and _DOC_TYPE_WEBM in head[:64]:
        return "video/webm"
    return None


def _is_mp4(head: bytes) -> bool:
    if head[4:8] != b"ftyp":
        return False
    (length,) = struct.unpack(">I", head[:4])
    if not 16 <= length <= SNIFF_BYTES or length % 4:
        return False
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length, 4))]
    return any(brand in _BRANDS for brand in brands)
