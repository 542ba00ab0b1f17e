"""Tokens of SQL folded to a short shape: what stands for one value becomes one letter.

``1+2`` folds to ``1``, ``1=1`` to ``e`` for expression, ``(1)`` after an operator too, ``order by`` to ``B``; signs,
doubled marks and comments go. ``O`` stands for an operator, a value and an operator. Letters are those of
``sqli_tokens``, and ``q`` for a string that ends where the tokens begin.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from bsguard.seclang.sqli_tokens import tokens
from bsguard.seclang.sqli_words import PAIR_BEGINNINGS, PAIRS

#: How long a chain of operators may be before it is given up, and how many letters the grammar looks at.
_TOKENS_MAX: Final = 1024
_LETTERS_MAX: Final = 8

_UNARY: Final = frozenset((b"+", b"-", b"!", b"~", b"not", b"binary"))
_COMPARES: Final = frozenset((b"=", b"<", b">", b"<=", b">=", b"<>", b"!=", b"==", b"<=>", b"!<", b"!>", b"~")) | {
    *(b"like", b"rlike", b"regexp", b"ilike", b"glob", b"match", b"between", b"is", b"in", b"similar"),
    *(b"isnull", b"notnull"),
}
#: Operators that are HTML more often than SQL.
_ANGLES: Final = frozenset((b"<", b">"))
_PROSE: Final = (["n", "n"], ["q", "n"])


def fold(value: bytes, start: int, quote: bytes) -> str:
    """The shape of *value* from *start* on, where a string in *quote* ends if *quote* is not empty."""
    shape = _Shape("q" if quote else "")
    ending = ""
    for letter, text in islice(tokens(value, start, quote), _TOKENS_MAX):
        if letter in "cdmh":
            ending = letter  # a comment is a space, unless it is the last
            continue
        ending = ""
        shape.add(letter, text)
        letters = shape.letters
        if letters in _PROSE and text not in PAIR_BEGINNINGS:
            return ""
        if len(letters) == _LETTERS_MAX:
            break
    return "".join(shape.letters) + ending


class _Shape:
    """The letters so far."""

    __slots__ = ("_opened", "_operator", "_previous", "letters")

    def __init__(self, letters: str) -> None:
        self.letters = list(letters)
        self._previous = b""
        self._operator = b""
        self._opened = 0  # parentheses that stand for nothing and were left out

    def add(self, letter: str, text: bytes) -> None:
        """Fold one more token in."""
        letters = self.letters
        last = letters[-1] if letters else "("
        pair = PAIRS.get((self._previous, text)) if text and self._previous and letters else None
        self._previous = text
        if pair:
            letters[-1] = pair
        elif letter == "(" and last == "(":
            self._opened += 1
        elif letter in "1nve" and last in "oO,":
            self._add_operand(letter, last)
        elif letter == "o":
            if text not in _UNARY or last not in "(oO&,;kE":
                self._add_operator(text)
        elif not (letter == last and letter in "s;") and not (letter == ")" and self._closes(last)):
            letters.append(letter)

    def _closes(self, last: str) -> bool:
        letters = self.letters
        if self._opened and len(letters) == 1:
            self._opened -= 1
            return True
        if letters[-2:-1] == ["("] and last in "1sve" and (len(letters) < 3 or letters[-3] in "(&oO,"):
            del letters[-2:]
            self.add("e", b"")
            return True
        return False

    def _add_operand(self, letter: str, last: str) -> None:
        letters = self.letters
        if len(letters) < 2 or letters[-2] not in "1nve":
            letters.append(letter)
            return
        left = letters[-2]
        del letters[-1]
        if last == ",":
            return
        if self._operator in _COMPARES and (left != "n" or (letter != "n" and len(letters) > 1)):
            letters[-1] = "e"
        elif left == "1" and letter == "n":
            letters[-1] = "n"

    def _add_operator(self, text: bytes) -> None:
        letters = self.letters
        marked_up = self._operator in _ANGLES or text in _ANGLES
        self._operator = text
        if len(letters) > 2 and letters[-1] in "1nve" and letters[-2] in "oO" and not marked_up:
            del letters[-1]
            letters[-1] = "O"
        else:
            letters.append("o")
