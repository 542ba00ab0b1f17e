"""Settings as frozen dataclasses, read from mappings with every problem collected.

A setting is a dataclass field made by :func:`setting`: its default, one sentence of documentation and the function
that reads it. The reference page is generated from the same facts. Readers are in ``readers.py``; they raise
:class:`Wanted`, and only the *kind* of a wrong value is ever reported, never the value.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bsguard.core.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

T = TypeVar("T")

#: Ids of problems, stable.
UNKNOWN_KEY: Final = "bsguard.E001"
WRONG_VALUE: Final = "bsguard.E002"
CONTRADICTION: Final = "bsguard.E003"
CHANGED_LATE: Final = "bsguard.E004"
UNREADABLE: Final = "bsguard.E005"
UNUSABLE_DOCUMENT: Final = "bsguard.E006"
UNUSABLE_RULES: Final = "bsguard.E007"
PROBLEMS: Final = {
    UNKNOWN_KEY: "No setting has this name.",
    WRONG_VALUE: "The value is not what the setting wants.",
    CONTRADICTION: "Settings that are each fine exclude each other.",
    CHANGED_LATE: "A setting was changed after it had been read, or the guard was set up twice or not at all.",
    UNREADABLE: "What a setting names cannot be used: a settings file, or a store.",
    UNUSABLE_DOCUMENT: "An OpenAPI document cannot be used.",
    UNUSABLE_RULES: "A rule file has a mistake, is missing, or its rules cannot run as they should here.",
}


class Wanted(Exception):
    """A value is not what a setting wants; the message completes "wanted …"."""


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """What is known of one setting, kept in the metadata of its field."""

    doc: str
    read: Callable[[object], Any]
    secret: bool = False


def setting(default: object, doc: str, read: Callable[[object], Any], *, secret: bool = False) -> Any:
    """A dataclass field that is a setting. *read* turns the operator's value into the field's value."""
    return field(default=default, metadata={"setting": SettingInfo(doc, read, secret)})


def settings_of(cls: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """The settings of a config class by key, such as ``METHODS`` for the field ``methods``."""
    return {f.name.upper(): f for f in dataclasses.fields(cls) if "setting" in f.metadata}


def info_of(one: dataclasses.Field[Any]) -> SettingInfo:
    """The facts of a setting's field."""
    info = one.metadata["setting"]
    if not isinstance(info, SettingInfo):
        raise TypeError(f"{one.name} is not a setting")
    return info


def read_settings(cls: type[T], values: Mapping[str, object], problems: list[Problem], *, prefix: str = "") -> T:
    """Build *cls* from *values*; what is wrong is appended to *problems* and left at its default.

    *prefix* is what stands before the key in the operator's own spelling, for the messages.
    """
    known = settings_of(cls)
    read: dict[str, object] = {}
    for key, value in values.items():
        if key not in known:
            problems.append(unknown_key(key, known, prefix))
            continue
        info = info_of(known[key])
        try:
            read[known[key].name] = info.read(value)
        except Wanted as wanted:
            problems.append(Problem(WRONG_VALUE, prefix + key, f"wanted {wanted}, got {kind_of(value)}. {info.doc}"))
    return cls(**read)


def unknown_key(key: str, known: Collection[str], prefix: str = "") -> Problem:
    """The problem of a key that no setting has, with the nearest one that exists."""
    close = nearest(key, known)
    bare = key.removeprefix("BSGUARD_")
    if bare != key and bare in known:
        remedy = f"write {bare}, without the prefix"
    else:
        remedy = f"did you mean {prefix}{close}?" if close else "remove it, or look it up in docs/reference/settings.md"
    return Problem(UNKNOWN_KEY, prefix + key, f"no such setting; {remedy}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *word* was probably meant to be."""
    import difflib  # needed only for a wrong setting

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def kind_of(value: object) -> str:
    """How a wrong value is described: its type, and its length where it has one. Never the value."""
    if value is None:
        return "None"
    name = type(value).__name__
    if isinstance(value, (str, bytes, list, tuple, set, dict)):
        return f"{'an' if name[0] in 'aeiou' else 'a'} {name} of length {len(value)}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
