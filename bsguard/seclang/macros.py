"""Macros, ``%{collection.key}`` in messages, variables' values and operators' arguments: read once, filled in often."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bsguard.core.config import nearest
from bsguard.seclang.errors import Mistake
from bsguard.seclang.variables import NAMES

_MACRO: Final = re.compile(r"%\{([A-Za-z_]\w*)(?:[.:]([^}]+))?\}")


@dataclass(frozen=True, slots=True)
class Reference:
    """One macro: the variable's upper-case name and its key in lower case, empty for a variable without keys."""

    name: str
    key: bytes


#: Text with macros, taken apart: literal bytes and references in turn.
Template = tuple[bytes | Reference, ...]


def read_template(text: str) -> Template:
    """Take *text* apart. Raises :class:`Mistake` for a variable that does not exist."""
    parts: list[bytes | Reference] = []
    at = 0
    for match in _MACRO.finditer(text):
        if match.start() > at:
            parts.append(_encoded(text[at : match.start()]))
        name = match[1].upper()
        if name not in NAMES:
            close = nearest(name, NAMES)
            raise Mistake(f"there is no variable {name}" + (f"; did you mean {close}?" if close else ""))
        parts.append(Reference(name, _encoded(match[2] or "").lower()))
        at = match.end()
    if at < len(text) or not parts:
        parts.append(_encoded(text[at:]))
    return tuple(parts)


def constant(template: Template) -> bytes | None:
    """The text of a template without macros, else None."""
    first = template[0]
    return first if len(template) == 1 and isinstance(first, bytes) else None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
