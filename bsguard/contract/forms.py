"""Reads form bodies into named texts, as Werkzeug reads them for the application, and refuses what is ambiguous.

Multipart messages are taken apart by Werkzeug's own decoder, so that guard and application see the same parts. The
content of files is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.sansio.multipart import Event, MultipartDecoder

_PIECE_BYTES: Final = 64 * 1024


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


def multipart(data: bytes, boundary: str, *, count_max: int, text_bytes_max: int) -> dict[str, list[str]]:
    """Texts of the fields of a multipart message by name; files count with an empty text.

    Raises :class:`Malformed` and :class:`TooMany`. *text_bytes_max* bounds all texts together.
    """
    from werkzeug.sansio.multipart import Data, Field, File, MultipartDecoder

    if not boundary or len(boundary) > 70 or not boundary.isascii():  # RFC 2046 §5.1.1
        raise Malformed("boundary")
    texts: list[tuple[str, bool, bytearray]] = []
    total = 0
    for event in _events(data, MultipartDecoder(boundary.encode(), max_parts=count_max)):
        if isinstance(event, (Field, File)):
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


def _events(data: bytes, decoder: MultipartDecoder) -> Iterator[Event]:
    """What the decoder makes of *data*, up to the closing boundary."""
    from werkzeug.exceptions import RequestEntityTooLarge
    from werkzeug.sansio.multipart import Epilogue, NeedData

    pieces = [data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES)]
    for piece in (*pieces, None):
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
