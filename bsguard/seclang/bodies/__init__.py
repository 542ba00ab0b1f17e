"""Request bodies as SecLang's rules read them: one parser a content type, all bounded, none of them raises.

A body that is broken, or that goes past a limit, gives ``error`` and everything that was read until then, so that
rules still see what an app with a more lenient parser would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Name and value, in the order of the body, duplicates kept.
Pairs = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a body is read into variables; past any of them ``ParsedBody.error`` is set."""

    arguments_max: int = 1000
    name_bytes_max: int = 1024
    depth_max: int = 512
    parts_max: int = 200
    part_headers_bytes_max: int = 8192


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """What one body holds, by the variables that read it.

    ``arguments`` is ARGS_POST (JSON leaves are named as in ``json.a.array_0``; duplicates kept). Of multipart,
    ``files`` pairs field name with file name (FILES, FILES_NAMES), ``file_sizes`` field name with bytes (FILES_SIZES;
    their sum is FILES_COMBINED_SIZE), ``part_headers`` field name with a whole header line (MULTIPART_PART_HEADERS),
    ``flags`` holds the upper-case names of the MULTIPART_ variables that are 1, without that prefix.
    ``xml_texts`` is ``XML:/*``, ``xml_attributes`` is ``XML://@*``. ``error`` is REQBODY_ERROR_MSG, empty if there is
    none; it names what is wrong and never quotes the body. ``limit`` is the field of Limits that was exceeded, or "".
    """

    arguments: Pairs = ()
    files: Pairs = ()
    file_sizes: tuple[tuple[bytes, int], ...] = ()
    part_headers: Pairs = ()
    flags: frozenset[str] = frozenset()
    xml_texts: tuple[bytes, ...] = ()
    xml_attributes: tuple[bytes, ...] = ()
    error: str = ""
    limit: str = ""

    @property
    def strict_error(self) -> bool:
        """MULTIPART_STRICT_ERROR."""
        raise NotImplementedError


#: By the name that REQBODY_PROCESSOR and ``ctl:requestBodyProcessor`` use; called with body, Content-Type and limits.
PROCESSORS: Final[Mapping[str, Callable[[bytes, bytes, Limits], ParsedBody]]] = {}


def parse_urlencoded(data: bytes, limits: Limits) -> ParsedBody:
    """Read ``a=1&b=2``, the query string's form too; only ``arguments``, ``error`` and ``limit`` are set."""
    raise NotImplementedError(data, limits)
