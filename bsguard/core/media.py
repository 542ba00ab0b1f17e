"""Media types (RFC 9110 §8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from bsguard.core.grammar import MEDIA_TYPE, PARAMETER

_CHARS_MAX: Final = 1024  # the longest in real use, multipart with a boundary of 70 characters, has about 100


@dataclass(frozen=True, slots=True)
class MediaType:
    """One media type. ``essence`` and the names of parameters are in lower case; values are unquoted."""

    essence: str
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def json(self) -> bool:
        """Whether it is JSON: ``application/json`` or a ``+json`` type (RFC 6839 §3.1)."""
        return self.essence == "application/json" or self.essence.endswith("+json")

    @property
    def charset(self) -> str:
        """The charset parameter in lower case; empty when absent."""
        return next((value.lower() for name, value in self.parameters if name == "charset"), "")


def parse_media_type(raw: str) -> MediaType | None:
    """Parse a Content-Type value; None unless it is exactly one well-formed media type of at most 1,024 characters.

    Doubled parameters are malformed: two readers would take different ones.
    """
    return _parse_media_type(raw) if len(raw) <= _CHARS_MAX else None


@lru_cache(maxsize=256)
def _parse_media_type(raw: str) -> MediaType | None:
    match = MEDIA_TYPE.match(raw)
    if match is None:
        return None
    parameters: dict[str, str] = {}
    position = match.end()
    while position < len(raw):
        parameter = PARAMETER.match(raw, position)
        if parameter is None or parameter.end() == position:
            return None
        position = parameter.end()
        name, value = parameter.groups()
        if name is None:
            continue
        if name.lower() in parameters:
            return None
        parameters[name.lower()] = _unquote(value)
    return MediaType(f"{match[1]}/{match[2]}".lower(), tuple(parameters.items()))


def _unquote(value: str) -> str:
    if not value.startswith('"'):
        return value
    pieces = value[1:-1].split("\\\\")
    return "\\".join(piece.replace("\\", "") for piece in pieces)
