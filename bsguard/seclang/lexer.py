"""From the text of a rule file to directives: a name and its words, each knowing where it stands.

The surface is Apache's: one directive a line, a backslash at the end of a line joins the next to it, ``#`` starts a
comment line (and a comment goes on over a backslash, as Apache has it), words are separated by blanks or quoted.
Inside quotes a backslash takes away the meaning of the quote character only, so that regular expressions need no
second layer of escapes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.seclang.errors import Mistake, Position

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANKS = " \t"


@dataclass(frozen=True, slots=True)
class Logical:
    """A logical line: physical lines joined, with where each piece came from."""

    file: str
    text: str
    #: Offset in ``text`` at which each physical line begins.
    starts: tuple[int, ...]
    #: Number of the first physical line.
    line: int

    def position(self, offset: int) -> Position:
        """Where the character at *offset* stands in the file."""
        piece = bisect_right(self.starts, offset) - 1
        return Position(self.file, self.line + piece, offset - self.starts[piece] + 1)


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a directive. ``offsets`` gives, for each character, its offset in the logical line."""

    text: str
    start: int
    #: Offsets in ``text`` before which an escaping backslash was dropped; rare, so a list of exceptions is enough.
    dropped: tuple[int, ...] = ()

    def offset(self, index: int) -> int:
        """Offset in the logical line of the character at *index*."""
        return self.start + index + bisect_right(self.dropped, index)


@dataclass(frozen=True, slots=True)
class Directive:
    """A name and its words."""

    name: Word
    words: tuple[Word, ...]
    source: Logical

    @property
    def position(self) -> Position:
        """Where the directive begins."""
        return self.source.position(self.name.start)

    def place(self, word: Word, index: int = 0) -> Position:
        """Where the character at *index* of *word* stands in the file."""
        return self.source.position(word.offset(index))


def logical_lines(file: str, text: str) -> Iterator[Logical]:
    """The logical lines of *text*, blank lines and comments left out."""
    pieces: list[str] = []
    starts: list[int] = []
    length = 0
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, 1):
        goes_on = line.endswith("\\") and number < len(lines)
        piece = line[:-1] if goes_on else line
        starts.append(length)
        pieces.append(piece)
        length += len(piece)
        if goes_on:
            continue
        joined = "".join(pieces)
        if joined.strip() and not joined.lstrip().startswith("#"):
            yield Logical(file, joined, tuple(starts), number - len(starts) + 1)
        pieces, starts, length = [], [], 0


def directive(line: Logical) -> Directive:
    """Split a logical line into words. Raises :class:`Mistake` with the offset of an unclosed quote."""
    words = list(_words(line.text))
    return Directive(words[0], tuple(words[1:]), line)


def _words(text: str) -> Iterator[Word]:
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in _BLANKS:
            at += 1
        if at == end:
            return
        if text[at] in "\"'":
            word, at = _quoted(text, at)
        else:
            stop = at
            while stop < end and text[stop] not in _BLANKS:
                stop += 1
            word, at = Word(text[at:stop], at), stop
        yield word


#: Characters of a quoted word that stand for themselves.
_RUN: Final = re.compile(r"[^\"'\\]+")


def _quoted(text: str, opening: int) -> tuple[Word, int]:
    quote = text[opening]
    characters: list[str] = []
    dropped: list[int] = []
    at, length = opening + 1, 0
    while at < len(text):
        run = _RUN.match(text, at)
        if run:
            characters.append(run[0])
            length += len(run[0])
            at = run.end()
            continue
        character = text[at]
        if character == quote:
            if at + 1 < len(text) and text[at + 1] not in _BLANKS:
                raise Mistake(f"a blank must follow the closing {quote}; write \\{quote} for one inside", at)
            return Word("".join(characters), opening + 1, tuple(dropped)), at + 1
        if character == "\\" and text[at + 1 : at + 2] == quote:
            dropped.append(length)
            characters.append(quote)
            length += 1
            at += 2
            continue
        pair = 2 if text.startswith("\\\\", at) else 1  # so that an escaped backslash may stand before the end
        characters.append(text[at : at + pair])
        length += len(characters[-1])
        at += pair
    raise Mistake(f"the quote {quote} opened here is never closed", opening)
