"""``multipart/form-data`` bodies (RFC 7578, RFC 2046 §5.1).

Read as leniently as any Python framework does, so that no field is seen by the app and not by the rules: lines may
end in CR LF, LF or CR, and a broken part is read as far as it goes. What is not as it should be is said in ``flags``.
The form is cut at the boundary with ``bytes.find``, so that large files cost next to nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.seclang.bodies.disposition import disposition
from bsguard.seclang.bodies.model import Arguments, LimitPassed, ParsedBody, passed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.seclang.bodies.model import Limits

#: Flags that are not part of MULTIPART_STRICT_ERROR.
_NOT_STRICT: Final = frozenset(("UNMATCHED_BOUNDARY", "CRLF_LF_LINES"))

_NO_BOUNDARY: Final = "multipart without one clear boundary in Content-Type"
_NO_PARTS: Final = "multipart without its boundary in the body"
_NO_END: Final = "multipart without its final boundary"
_BAD_BOUNDARY: Final = "multipart with its boundary where it is none"
_BAD_PART: Final = "a part without one clear Content-Disposition"
_BAD_HEADER: Final = "a part with an invalid header"


def parse_multipart(body: bytes, content_type: bytes, limits: Limits) -> ParsedBody:
    """Read a form's fields, and of its files the names and sizes."""
    if not body:
        return ParsedBody()
    form = _Form(limits)
    limit = ""
    boundary = form.boundary(content_type)
    try:
        if boundary:
            form.read(body, boundary)
    except LimitPassed as problem:
        limit = problem.limit
        if limit == "parts_max":
            form.flags.add("FILE_LIMIT_EXCEEDED")
    if form.line_ends - {b"\r\n"}:
        form.flags.add("LF_LINE")
        if b"\r\n" in form.line_ends:
            form.flags.add("CRLF_LF_LINES")
    error = passed(limit) if limit else form.error
    return ParsedBody(
        tuple(form.arguments.pairs),
        files=tuple(form.files),
        file_sizes=tuple(form.file_sizes),
        part_headers=tuple(form.part_headers),
        flags=frozenset(form.flags),
        strict_error=bool(error or form.flags - _NOT_STRICT),
        error=error,
        limit=limit,
    )


#: With the marks of RFC 2231 too, by which some frameworks let another parameter replace this one.
_BOUNDARY: Final = re.compile(rb'(?i)\b(boundary(?:\*[\d*]*)?)(\s*)=(\s*)("[^"]*"?|[^;]*)')
#: RFC 2046 §5.1.1, and 70 characters at most.
_BOUNDARY_TEXT: Final = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{1,70}")
#: What may stand behind the boundary; behind the last one frameworks let anything stand.
_DELIMITER_TAIL: Final = re.compile(rb"(?P<last>--)|(?P<space>[^\S\r\n]*+)(?=[\r\n]|\Z)")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_LINE: Final = re.compile(rb"([^\r\n]*+)(\r\n|\n|\r|\Z)")
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\0]*)")


@dataclass(frozen=True, slots=True)
class _Delimiter:
    """A boundary in the body: where the line end before it begins, and where the text of the boundary ends."""

    start: int
    end: int
    last: bool


class _Form:
    """One form as far as it has been read."""

    def __init__(self, limits: Limits) -> None:
        self.arguments = Arguments(limits)
        self.files: list[tuple[bytes, bytes]] = []
        self.file_sizes: list[tuple[bytes, int]] = []
        self.part_headers: list[tuple[bytes, bytes]] = []
        self.flags: set[str] = set()
        self.line_ends: set[bytes] = set()
        self.error = ""
        self._limits = limits
        self._room = limits.body_bytes_max

    def boundary(self, content_type: bytes) -> bytes:
        """The boundary that a Content-Type names, or nothing."""
        found = list(_BOUNDARY.finditer(content_type))
        if not found:
            self._wrong(_NO_BOUNDARY)
            return b""
        name, before, behind, raw = found[0].groups()
        if not content_type[: found[0].start()].rstrip().endswith(b";"):
            self.flags.add("MISSING_SEMICOLON")
        if raw.startswith(b'"'):
            self.flags.add("BOUNDARY_QUOTED")
        if before or behind or raw != raw.rstrip():
            self.flags.add("BOUNDARY_WHITESPACE")
        text: bytes = raw.strip(b'"') if raw.startswith(b'"') else raw.rstrip()
        if len(found) > 1 or name != b"boundary" or not _BOUNDARY_TEXT.fullmatch(text):
            self._wrong(_NO_BOUNDARY)
        return text

    def read(self, body: bytes, boundary: bytes) -> None:
        """Read every part."""
        mark = b"--" + boundary
        if not body.startswith(mark):
            self.flags.add("DATA_BEFORE")
        previous: _Delimiter | None = None
        parts = 0
        for delimiter in self._delimiters(body, mark):
            if previous is not None:
                parts += 1
                if parts > self._limits.parts_max:
                    raise LimitPassed("parts_max")
                self._part(body[previous.end : delimiter.start])
            previous = delimiter
            if delimiter.last:
                break
        if previous is None:
            self._wrong(_NO_PARTS)
        elif not previous.last:
            self._wrong(_NO_END)
            rest = body[previous.end :]
            if not rest.isspace():
                self._part(rest)
        elif body[previous.end : previous.end + 3] not in (b"", b"\r\n", b"\n"):
            self.flags.add("DATA_AFTER")

    def _delimiters(self, body: bytes, mark: bytes) -> Iterator[_Delimiter]:
        first = True
        position = body.find(mark)
        while position >= 0:
            tail = _DELIMITER_TAIL.match(body, position + len(mark))
            line_end = b"\r\n" if body.endswith(b"\r\n", 0, position) else body[max(position - 1, 0) : position]
            at_line_start = line_end in (b"", b"\r\n", b"\n", b"\r")
            if tail is None or tail["space"] or not at_line_start:
                self.flags.add("UNMATCHED_BOUNDARY")
                self._wrong(_BAD_BOUNDARY)
            # Frameworks take the first one even in the middle of a line.
            if tail and (at_line_start or first):
                first = False
                self._line_end(line_end if at_line_start else b"")
                yield _Delimiter(position - len(line_end if at_line_start else b""), tail.end(), bool(tail["last"]))
            position = body.find(mark, position + len(mark))

    def _part(self, part: bytes) -> None:
        lines, content = self._header_lines(part)
        self._spend(len(part) - len(content))
        dispositions: list[bytes] = []
        for line in lines:
            header = _HEADER.fullmatch(line)
            if header is None:
                self._wrong(_BAD_HEADER)
            elif header[1].lower() == b"content-disposition":
                dispositions.append(header[2])
        read = [disposition(value) for value in dispositions]
        for each in read:
            self.flags.update(each.flags)
        names = [name for each in read for name in each.names] or [b""]
        filenames = [name for each in read for name in each.filenames]
        valid = len(read) == 1 and "INVALID_PART" not in read[0].flags and len(names) == 1 and len(filenames) <= 1
        valid = valid and bool(names[0])
        if not valid:
            self.flags.add("INVALID_PART")
            self._wrong(_BAD_PART)
        self.part_headers.extend((names[0], line) for line in lines)
        self.files.extend((names[0], filename) for filename in filenames if filename)
        if any(filenames):
            self.file_sizes.append((names[0], len(content)))
        if not valid or not any(filenames):
            self._fields(names, content)

    def _fields(self, names: list[bytes], content: bytes) -> None:
        for name in names:
            self.arguments.add(name, content[: self._room])
            self._spend(len(content))

    def _spend(self, length: int) -> None:
        self._room -= length
        if self._room < 0:
            raise LimitPassed("body_bytes_max")

    def _header_lines(self, part: bytes) -> tuple[list[bytes], bytes]:
        """The header lines of a part, unfolded, and its content."""
        lines: list[bytes] = []
        position = 0
        number = 0
        while match := _LINE.match(part, position):
            line, line_end = match.groups()
            position = match.end()
            if position > self._limits.part_headers_bytes_max:
                raise LimitPassed("part_headers_bytes_max")
            self._line_end(line_end)
            if not line_end:
                self._wrong(_BAD_HEADER)  # the part ends within its headers
            elif not line and number:
                return lines, part[position:]
            if line[:1] in (b" ", b"\t"):
                self.flags.add("HEADER_FOLDING" if lines else "INVALID_HEADER_FOLDING")
                line = (lines.pop() if lines else b"") + b" " + line.strip()
            if line:
                lines.append(line)
            if not line_end:
                break
            number += 1
        return lines, b""

    def _line_end(self, line_end: bytes) -> None:
        if line_end:
            self.line_ends.add(line_end)

    def _wrong(self, error: str) -> None:
        self.error = self.error or error
