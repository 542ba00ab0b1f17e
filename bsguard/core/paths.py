"""Path patterns, as settings write them.

``/v1/files`` matches itself; ``{name}`` or ``*`` matches one segment; a final ``/**`` matches the path and anything
below it. Matching is exact and case-sensitive, on the decoded path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SEGMENT = re.compile(r"\*|\{[A-Za-z_][A-Za-z0-9_]*\}")


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A compiled path pattern; equality and ``repr`` are those of its text."""

    text: str
    _match: re.Pattern[str] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> PathPattern:
        """Compile *text*; ValueError says what a pattern looks like."""
        if not text.startswith("/"):
            raise ValueError('a path pattern starts with "/"')
        below = text.endswith("/**")
        regex = "".join(_segment_regex(segment) for segment in text.removesuffix("/**").split("/")[1:])
        return cls(text, re.compile(regex + ("(?:/.*)?" if below else ""), re.DOTALL))

    def matches(self, path: str) -> bool:
        """Whether the decoded *path* fits."""
        return self._match.fullmatch(path) is not None


def _segment_regex(segment: str) -> str:
    if _SEGMENT.fullmatch(segment):
        return "/[^/]+"
    if "*" in segment or "{" in segment or "}" in segment:
        raise ValueError('"*" and "{name}" stand for a whole segment, "/**" only at the end')
    return "/" + re.escape(segment)


def under(prefix: str, path: str) -> bool:
    """Whether *path* is *prefix* or lies below it; ``/v1`` covers ``/v1`` and ``/v1/x`` but not ``/v10``."""
    if not path.startswith(prefix):
        return False
    return len(path) == len(prefix) or prefix[-1] == "/" or path[len(prefix)] == "/"
