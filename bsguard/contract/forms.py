"""Reads forms and cookies into named texts, as Werkzeug reads them for the application, and refuses what is ambiguous.

Multipart messages and cookies are taken apart by Werkzeug itself, so that guard and application see the same. The
content of files is passed over.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from bsguard.contract.values import decode
from bsguard.core.body import BODY_PIECE_BYTES
from bsguard.core.media import parse_media_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from werkzeug.sansio.multipart import Event, Field, MultipartDecoder

#: Charsets of text that is read as UTF-8.
UTF8: Final = frozenset({"", "utf-8", "utf8", "us-ascii"})


class Malformed(ValueError):
    """The body is no well-formed form; the message says in one word what is wrong."""


class TooMany(ValueError):
    """More fields than allowed."""


def split_pairs(native: str, count_max: int) -> list[tuple[str, str]]:
    """Escaped names and texts of a query string or urlencoded form; raises :class:`TooMany`."""
    if native.count("&") >= count_max:
        raise TooMany
    found = []
    for pair in native.split("&"):
        if pair:
            name, _, text = pair.partition("=")
            found.append((name, text))
    return found


def cookies(native: str) -> dict[str, list[str]]:
    """Texts of cookies by name, of a native Cookie header; raises :class:`~bsguard.contract.values.NotText`."""
    from werkzeug.sansio.http import parse_cookie

    return parse_cookie(decode(native)).to_dict(flat=False)


def multipart(pieces: Iterable[bytes], boundary: str, *, count_max: int, text_bytes_max: int) -> dict[str, list[str]]:
    """Texts of the fields of a multipart message by name; files count with an empty text.

    Raises :class:`Malformed` and :class:`TooMany`. *text_bytes_max* bounds all texts together.
    """
    from werkzeug.sansio.multipart import Data, Field, File, MultipartDecoder

    if not boundary or len(boundary) > 70 or not boundary.isascii():  # RFC 2046 §5.1.1
        raise Malformed("boundary")
    texts: list[tuple[str, bool, bytearray]] = []
    total = 0
    # The memory is for what stands outside of parts, too: a message without its boundary would be held whole.
    memory = max(text_bytes_max, 2 * BODY_PIECE_BYTES)
    decoder = MultipartDecoder(boundary.encode(), memory, max_parts=count_max)
    for event in _events(pieces, decoder):
        if isinstance(event, (Field, File)):
            if isinstance(event, Field):
                _check_charset(event)
            texts.append((event.name, isinstance(event, File), bytearray()))
        elif isinstance(event, Data) and not texts[-1][1]:
            total += len(event.data)
            if total > text_bytes_max:
                raise TooMany
            texts[-1][2].extend(event.data)
    found: dict[str, list[str]] = {}
    for name, _, text in texts:
        try:
            found.setdefault(name, []).append(text.decode("utf-8"))
        except UnicodeDecodeError:
            raise Malformed("encoding") from None
    return found


def _check_charset(field: Field) -> None:
    """Raise for a charset of the field's own, by which an application may read another text than is judged here."""
    raw = field.headers.get("Content-Type")
    media_type = parse_media_type(raw) if raw else None
    if raw and (media_type is None or media_type.charset not in UTF8):
        raise Malformed("charset")


def _events(pieces: Iterable[bytes], decoder: MultipartDecoder) -> Iterator[Event]:
    """What the decoder makes of the message, up to the closing boundary."""
    from werkzeug.exceptions import RequestEntityTooLarge
    from werkzeug.sansio.multipart import Epilogue, NeedData

    for piece in itertools.chain(pieces, (None,)):
        try:
            decoder.receive_data(piece)
            while not isinstance(event := decoder.next_event(), NeedData):
                if isinstance(event, Epilogue):
                    return
                yield event
        except RequestEntityTooLarge:
            raise TooMany from None
        except Exception:  # whatever its parsing meets
            raise Malformed("parts") from None
    raise Malformed("end")
