"""When a link can match at all, by where its values come from. Every condition is necessary; one of them suffices.

Conditions are read off a link's targets one by one. A link with a target about which nothing is known beforehand, such
as TX or what earlier links matched on, has no gate, and the rule is evaluated for every request unless another link
of its chain has one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.seclang.prefilter.needles import PART_OF, PARTS, needle_of

if TYPE_CHECKING:
    from bsguard.seclang.compiler import Runnable, Target
    from bsguard.seclang.model import Link
    from bsguard.seclang.prefilter.needles import Needle

_HEADERS: Final = "REQUEST_HEADERS"
_HEADER_NAMES: Final = "REQUEST_HEADERS_NAMES"
#: Variables of one value whose links are evaluated before the rules run: the value is short, or looked at anyway.
SCALARS: Final = (
    "REQUEST_METHOD",
    "REQUEST_PROTOCOL",
    "REMOTE_ADDR",
    *PARTS["line"].split(),
    "REQUEST_BODY_LENGTH",
)
_PARTS_OF_LISTS: Final = ("cookies", "names", "values", "files")


@dataclass(frozen=True, slots=True)
class Gate:
    """What holds, at least one of it, whenever the link matches."""

    #: What occurs in one of the parts, or in a header.
    needle: Needle | None = None
    parts: frozenset[str] = frozenset()
    #: The link with those of its targets that headers' values decide.
    headers: Runnable | None = None
    #: The link with those of its targets that headers' names and their number decide.
    names: Runnable | None = None
    #: Variables of one value on which the link matches.
    scalars: tuple[str, ...] = ()
    #: Collections that are not empty.
    present: tuple[str, ...] = ()


def gate_of(link: Link, runnable: Runnable) -> Gate | None:
    """The gate of a link, None if nothing is known of it."""
    needle = needle_of(link)
    sources: dict[str, list[Target]] = {}
    for target in runnable.targets:
        source = _source(target, needle, runnable)
        if source is None:
            return None
        sources.setdefault(source, []).append(target)
    if not sources:
        return None
    names = {source: tuple(dict.fromkeys(target.name for target in found)) for source, found in sources.items()}
    return Gate(
        needle,
        frozenset(PART_OF[name] for name in names.get("scan", ())),
        _cut(runnable, sources.get("headers")),
        _cut(runnable, sources.get("names")),
        names.get("scalars", ()),
        names.get("present", ()),
    )


def unfiltered(link: Link, runnable: Runnable) -> str:
    """What makes the link one that is evaluated without having been looked for; empty if nothing does."""
    if link.operator is None:
        return "it has no operator"
    needle = needle_of(link)
    names = [target.name for target in runnable.targets if _source(target, needle, runnable) in (None, "present")]
    return f"{link.operator} on {', '.join(dict.fromkeys(names))}" if names else ""


def _source(target: Target, needle: Needle | None, runnable: Runnable) -> str | None:
    """Where the target's values come from, None if that is not known before the rules run."""
    is_fixed, part = runnable.match is not None, PART_OF.get(target.name, "")
    if target.name == _HEADER_NAMES or (target.name == _HEADERS and target.counted):
        return "names" if is_fixed else None
    if target.name == _HEADERS:
        return "headers" if is_fixed else None
    if needle is not None and part and not target.counted:
        return "scan"
    if target.name in SCALARS and not target.counted:
        return "scalars" if is_fixed else None
    if part in _PARTS_OF_LISTS and not (target.counted and (not is_fixed or runnable.matches(b"0"))):
        return "present"
    return None


def _cut(runnable: Runnable, targets: list[Target] | None) -> Runnable | None:
    return None if targets is None else dataclasses.replace(runnable, targets=tuple(targets))
