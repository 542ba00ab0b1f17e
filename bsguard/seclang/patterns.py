"""Regular expressions of rules: PCRE text, brought to google-re2 where it is installed, else to ``re``.

As in ModSecurity 3, a dot matches a newline too and ``^`` and ``$`` match at every line. google-re2 takes time linear
in the value whatever the pattern; ``re`` is the fallback, and serves what RE2 cannot express (look-around,
back-references). Both read bytes, and letters are ASCII in both, as in PCRE's default tables.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from bsguard.seclang.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

try:
    import re2
except ImportError:  # no wheel for this platform
    re2 = None

#: The library that patterns run in.
ENGINE: Final[Literal["re2", "re"]] = "re" if re2 is None else "re2"

#: What PCRE calls white space. RE2's ``\s`` leaves the vertical tab out.
_SPACE: Final = r"\t-\r\x20"
_NOT_SPACE: Final = r"\x00-\x08\x0e-\x1f\x21-\xff"
#: Escapes of PCRE that other engines lack or read differently, outside and inside a class.
_ESCAPES: Final = {
    "s": (f"[{_SPACE}]", _SPACE),
    "S": (f"[^{_SPACE}]", _NOT_SPACE),
    "h": (r"[\t\x20\xa0]", r"\t\x20\xa0"),
    "H": (r"[^\t\x20\xa0]", None),
    "v": (r"[\n-\r\x85]", r"\n-\r\x85"),
    "V": (r"[^\n-\r\x85]", None),
    "e": (r"\x1b", r"\x1b"),
}
_POSIX: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t\x20",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": _SPACE,
    "upper": "A-Z",
    "word": "0-9A-Z_a-z",
    "xdigit": "0-9A-Fa-f",
}
_UNKNOWN: Final = frozenset("CGKNPRXp")
_HEX: Final = re.compile(r"\{([0-9A-Fa-f]{1,2})\}")
_ESCAPED: Final = re.compile(rb"\\.", re.DOTALL)
_INLINE: Final = re.compile(r"\^?\(\?([imsx]+)\)")


class Pattern(Protocol):
    """What ``re`` and ``re2`` patterns have in common."""

    @property
    def groups(self) -> int:
        """How many groups it captures."""

    def search(self, value: bytes, position: int = 0, /) -> Any:
        """The leftmost match at or after a position, or None."""


@lru_cache(maxsize=4096)
def compile_pattern(text: str, *, captures: bool = True) -> Pattern:
    """Compile PCRE *text*. Raises :class:`Mistake` saying what is wrong with it."""
    translated = translate(text)
    source = translated.encode("latin-1")
    if re2 is not None:
        try:
            return _with_re2(source, captures=captures)
        except re2.error:
            pass  # look-around or a back-reference; ``re`` has the last word
    return with_re(source)


def finder(pattern: Pattern) -> Callable[[bytes], bool]:
    """Whether *pattern* occurs in a value. Where that can be, without the match object that ``search`` makes."""
    bare = getattr(pattern, "_regexp", None)
    if bare is None:
        search = pattern.search
        return lambda value: search(value) is not None
    match, anywhere, nowhere = bare.Match, re2._Anchor.UNANCHORED, re2._NULL_SPAN
    return lambda value: match(anywhere, value, 0, len(value))[0] != nowhere


def locator(pattern: Pattern) -> Callable[[bytes, int], int]:
    """Where *pattern* occurs first at or after a position, -1 if it does nowhere."""
    bare = getattr(pattern, "_regexp", None)
    if bare is None:

        def locate(value: bytes, position: int) -> int:
            found = pattern.search(value, position)
            return -1 if found is None else found.start()

        return locate
    match, anywhere = bare.Match, re2._Anchor.UNANCHORED
    return lambda value, position: match(anywhere, value, position, len(value))[0][0]


def _with_re2(source: bytes, *, captures: bool = True) -> Pattern:
    if b"(?i" in source and not source.isascii():
        raise re2.error("letters beyond ASCII would fold")
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = True
    options.log_errors = False
    options.never_capture = not captures
    pattern: Pattern = re2.compile(b"(?m)" + source, options)
    return pattern


def with_re(source: bytes) -> Pattern:
    """Compile translated *source* in ``re``. Raises :class:`Mistake`."""
    flags = re.DOTALL | re.MULTILINE
    inline = _INLINE.match(source.decode("latin-1"))
    if inline:  # re wants global flags first
        letters = inline[1].encode()
        source = b"(?%s)" % letters + source.replace(b"(?%s)" % letters, b"", 1)
    source = _ESCAPED.sub(lambda found: rb"\Z" if found[0] == rb"\z" else found[0], source)
    source = _single_look_behinds(source)
    try:
        return re.compile(source, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise Mistake(f"the regular expression cannot be used: {error}") from None


def _single_look_behinds(source: bytes) -> bytes:
    """``(?<!a|bc)`` as ``(?<!a)(?<!bc)``: each may have its own length in PCRE, and ``re`` wants one length for all."""
    at = 0
    while (at := min((found for mark in (b"(?<!", b"(?<=") if (found := source.find(mark, at)) >= 0), default=-1)) >= 0:
        mark = source[at : at + 4]
        parts, end = _branches(source, at + 4)
        made = [mark + part + b")" for part in parts]
        whole = b"".join(made) if mark == b"(?<!" else b"(?:" + b"|".join(made) + b")"
        source = source[:at] + whole + source[end:]
        at += len(whole)
    return source


def _branches(source: bytes, at: int) -> tuple[list[bytes], int]:
    """The alternatives of the group whose content begins at *at*, and where the group ends."""
    parts, begin, depth, within = [], at, 0, False
    while at < len(source):
        byte = source[at : at + 1]
        if byte == b"\\":
            at += 1
        elif within:
            within = byte != b"]"
        elif byte == b"[":
            within = True
            at += source[at + 1 : at + 2] == b"^"
            at += source[at + 1 : at + 2] == b"]"  # first in a class it stands for itself
        elif byte == b"(":
            depth += 1
        elif byte == b"|" and depth == 0:
            parts.append(source[begin:at])
            begin = at + 1
        elif byte == b")":
            if depth == 0:
                return [*parts, source[begin:at]], at + 1
            depth -= 1
        at += 1
    return [*parts, source[begin:]], at  # never closed; ``re`` says so


@lru_cache(maxsize=2048)
def translate(text: str) -> str:
    """PCRE *text* in the words that RE2, Hyperscan and ``re`` share; every character stands for one byte."""
    try:
        text = text.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:
        raise Mistake("the regular expression holds characters that are no text") from None
    out: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            piece, at = _escape(text, at, within=False)
        elif character == "[":
            piece, at = _class(text, at)
        elif text.startswith("(?<", at) and text[at + 3 : at + 4] not in ("=", "!"):
            piece, at = "(?P<", at + 3
        elif text.startswith("{,", at):  # literal in PCRE
            piece, at = r"\{", at + 1
        else:
            piece, at = character, at + 1
        out.append(piece)
    return "".join(out)


def _escape(text: str, at: int, *, within: bool) -> tuple[str, int]:
    letter = text[at + 1 : at + 2]
    if letter == "":
        raise Mistake("the regular expression ends in a backslash")
    if letter == "x":
        return _hexadecimal(text, at)
    if letter == "Q":
        end = text.find("\\E", at)
        end = len(text) if end < 0 else end
        return re.escape(text[at + 2 : end]), end + 2
    if letter in _ESCAPES:
        piece = _ESCAPES[letter][within]
        if piece is not None:
            return piece, at + 2
    if letter in _UNKNOWN or (letter in "HV" and within):
        raise Mistake(f"\\{letter} cannot be used in a regular expression here; write out what it stands for")
    if letter == "Z":
        return r"(?:\n?\z)", at + 2
    if letter.isalnum() or letter == "_":
        return "\\" + letter, at + 2
    return re.escape(letter) if letter.isascii() else letter, at + 2


def _hexadecimal(text: str, at: int) -> tuple[str, int]:
    match = _HEX.match(text, at + 2)
    if match:
        return f"\\x{match[1]:0>2}", match.end()
    digits = re.compile(r"[0-9A-Fa-f]{0,2}").match(text, at + 2)
    found = digits[0] if digits else ""
    return f"\\x{found:0>2}", at + 2 + len(found)


def _class(text: str, at: int) -> tuple[str, int]:
    """A bracketed class, written so that no engine sees a nested set, a range or a set operation in it."""
    start = at
    out = ["["]
    at += 1
    if text.startswith("^", at):
        out.append("^")
        at += 1
    if text.startswith("]", at):
        out.append(r"\]")
        at += 1
    while at < len(text) and text[at] != "]":
        low, at, single = _element(text, at)
        out.append(low)
        if not text.startswith("-", at) or text.startswith("-]", at):
            continue
        high, end, also_single = _element(text, at + 1)
        if single and also_single:
            out.append("-" + high)
            at = end
        else:  # beside a set such as \\d a dash is itself
            out.append(r"\-")
            at += 1
    if at >= len(text):
        raise Mistake(f"the class opened at character {start + 1} of the regular expression is never closed")
    return "".join(out) + "]", at + 1


def _element(text: str, at: int) -> tuple[str, int, bool]:
    """One element of a class, where it ends, and whether it is a single character."""
    character = text[at : at + 1]
    if character == "\\":
        piece, end = _escape(text, at, within=True)
        return piece, end, text[at + 1] not in "sShHvVdDwW"
    if text.startswith("[:", at) and ":]" in text[at + 2 :]:
        piece, end = _posix(text, at)
        return piece, end, False
    return ("\\" + character if character in "-[&|~" else character), at + 1, True


def _posix(text: str, at: int) -> tuple[str, int]:
    end = text.index(":]", at + 2)
    name = text[at + 2 : end]
    if name not in _POSIX:
        raise Mistake(f"there is no character class [:{name}:]")
    return _POSIX[name], end + 2


def phrases_pattern(phrases: Sequence[bytes]) -> Pattern | None:
    """One pattern that finds any of *phrases*, case aside; None if there are none.

    The alternatives share their beginnings, so that even a backtracking engine looks at few of them.
    """
    return _phrases_pattern(frozenset(phrase.lower() for phrase in phrases))


@lru_cache(maxsize=256)
def _phrases_pattern(phrases: frozenset[bytes]) -> Pattern | None:
    tree: dict[int, Any] = {}
    for phrase in sorted(phrases, key=lambda phrase: (len(phrase), phrase)):
        node = tree
        for byte in phrase:
            if None in node:
                break  # a shorter phrase is already found here
            node = node.setdefault(byte, {})
        else:
            node[None] = True  # type: ignore[index]
    if not tree:
        return None
    source = b"(?i)" + _alternatives(tree)
    if re2 is not None and source.isascii():
        return _with_re2(source)
    return with_re(source)


def _alternatives(node: dict[int, Any]) -> bytes:
    """The branches below *node*; recursion goes down at forks only, for phrases may be long."""
    prefix = b""
    while len(node) == 1 and None not in node:
        ((byte, node),) = node.items()
        prefix += _LITERALS[byte]
    if None in node:
        return prefix
    branches = [_LITERALS[byte] + _alternatives(below) for byte, below in sorted(node.items())]
    return prefix + b"(?:" + b"|".join(branches) + b")"


_LITERALS: Final = [re.escape(bytes([byte])) if 0x20 <= byte < 0x7F else b"\\x%02x" % byte for byte in range(256)]
