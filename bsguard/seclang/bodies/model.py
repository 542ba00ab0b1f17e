"""What every body parser takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

#: Name and value, in the order of the body, duplicates kept.
Pairs = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a body is read into variables. Reading ends at the first that is passed; ``ParsedBody`` says which.

    What multipart bodies hold in files does not count against ``body_bytes_max``. ``names_bytes_max`` counts the names
    of JSON's arrays and objects too, since what is nested deep makes every name long. ModSecurity's limits for
    comparison: 128 KiB without files, 1,000 arguments, JSON 10,000 deep.
    """

    body_bytes_max: int = 131_072
    arguments_max: int = 4096
    name_bytes_max: int = 4096
    names_bytes_max: int = 524_288
    depth_max: int = 256
    parts_max: int = 200
    part_headers_bytes_max: int = 8192


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """What one body holds, by the variables that read it.

    ``arguments`` is ARGS_POST (JSON leaves are named as in ``json.a.array_0``; duplicates kept). Of multipart,
    ``files`` pairs field name with file name (FILES, FILES_NAMES), ``file_sizes`` field name with bytes (FILES_SIZES;
    their sum is FILES_COMBINED_SIZE), ``part_headers`` field name with a whole header line (MULTIPART_PART_HEADERS),
    ``flags`` holds the upper-case names of the MULTIPART_ variables that are 1, without that prefix, and
    ``strict_error`` is MULTIPART_STRICT_ERROR. ``xml_texts`` is ``XML:/*``, ``xml_runs`` is ``XML://text()``,
    ``xml_attributes`` is ``XML://@*``.
    ``error`` is REQBODY_ERROR_MSG, empty if there is none; it names what is wrong and never quotes the body.
    ``limit`` is the field of Limits that was passed, or "".
    """

    arguments: Pairs = ()
    files: Pairs = ()
    file_sizes: tuple[tuple[bytes, int], ...] = ()
    part_headers: Pairs = ()
    flags: frozenset[str] = frozenset()
    strict_error: bool = False
    xml_texts: tuple[bytes, ...] = ()
    xml_runs: tuple[bytes, ...] = ()
    xml_attributes: tuple[bytes, ...] = ()
    error: str = ""
    limit: str = ""


class LimitPassed(Exception):
    """Reading has come to a limit; ``limit`` is its name in Limits."""

    def __init__(self, limit: str) -> None:
        self.limit = limit
        super().__init__(limit)


class Arguments:
    """Arguments as they are read, each held against the limits."""

    __slots__ = ("_arguments_max", "_name_bytes_max", "_names_room", "pairs")

    def __init__(self, limits: Limits) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []
        self._arguments_max = limits.arguments_max
        self._name_bytes_max = limits.name_bytes_max
        self._names_room = limits.names_bytes_max

    def add(self, name: bytes, value: bytes) -> None:
        """Keep one; raises :class:`LimitPassed` in its stead."""
        pairs, length = self.pairs, len(name)
        self._names_room = room = self._names_room - length
        if length > self._name_bytes_max or room < 0 or len(pairs) >= self._arguments_max:
            raise self._passed(length)
        pairs.append((name, value))

    def count_name(self, length: int) -> None:
        """Hold a name that is no argument's against the limits."""
        self._names_room -= length
        if length > self._name_bytes_max or self._names_room < 0:
            raise self._passed(length)

    def _passed(self, length: int) -> LimitPassed:
        if length > self._name_bytes_max:
            return LimitPassed("name_bytes_max")
        return LimitPassed("names_bytes_max" if self._names_room < 0 else "arguments_max")


def passed(limit: str) -> str:
    """The ``error`` that goes with a limit."""
    return f"more than {limit} allows"
