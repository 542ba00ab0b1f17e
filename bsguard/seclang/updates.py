"""Directives that change rules read before them: removals and updates by id, tag or message."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

from bsguard.seclang.actions import draft_of, read_action, split_actions
from bsguard.seclang.errors import Mistake
from bsguard.seclang.model import Rule
from bsguard.seclang.variables import read_updates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bsguard.seclang.model import Marker

_RANGE: Final = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?")

Chooses = "Callable[[Rule], bool]"


def by_ids(texts: Iterable[str]) -> Callable[[Rule], bool]:
    """Chooses rules by words such as ``942100`` and ``942100-942199``. Raises :class:`Mistake`."""
    ranges: list[tuple[int, int]] = []
    for text in texts:
        for part in filter(None, re.split(r"[,\s]+", text)):
            match = _RANGE.fullmatch(part)
            if match is None:
                raise Mistake("ids and ranges such as 942100-942199 are expected")
            ranges.append((int(match[1]), int(match[2] or match[1])))
    if not ranges:
        raise Mistake("at least one id is expected")
    return lambda rule: any(low <= rule.id <= high for low, high in ranges)


def by_tag(text: str) -> Callable[[Rule], bool]:
    """Chooses rules of which a tag is *text*, or is matched from end to end by it as a regular expression."""
    matches = _whole(text)
    return lambda rule: any(matches(tag) for tag in rule.tags)


def by_message(text: str) -> Callable[[Rule], bool]:
    """Chooses rules whose message is *text*, or is matched from end to end by it."""
    matches = _whole(text)
    return lambda rule: matches(rule.message)


def _whole(text: str) -> Callable[[str], bool]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise Mistake(f"the regular expression cannot be used: {error}") from None
    return lambda value: value == text or pattern.fullmatch(value) is not None


def remove(items: list[Rule | Marker], chosen: Callable[[Rule], bool]) -> int:
    """Take the chosen rules away; says how many there were."""
    left = [item for item in items if not (isinstance(item, Rule) and chosen(item))]
    count = len(items) - len(left)
    items[:] = left
    return count


def update_targets(items: list[Rule | Marker], chosen: Callable[[Rule], bool], targets: str) -> int:
    """Add targets and exclusions to the first link of the chosen rules, as SecRuleUpdateTarget… does."""
    changes = read_updates(targets)

    def changed(rule: Rule) -> Rule:
        head = dataclasses.replace(rule.links[0], variables=(*rule.links[0].variables, *changes))
        return dataclasses.replace(rule, links=(head, *rule.links[1:]))

    return _replace(items, chosen, changed)


def update_actions(items: list[Rule | Marker], text: str, actions: str) -> int:
    """Apply actions to a rule already read; ``id:n`` names the nth rule of a chain."""
    id_text, _, link_text = text.partition(":")
    chosen = by_ids([id_text])
    if link_text and not link_text.isdigit():
        raise Mistake("an id such as 12345 or 12345:1 is expected")

    def changed(rule: Rule) -> Rule:
        draft = draft_of(rule)
        place = int(link_text or 0)
        if place >= len(draft.links):
            raise Mistake(f"rule {rule.id} has {len(draft.links)} links")
        later = draft.links[place + 1 :]
        del draft.links[place + 1 :]
        listed = list(split_actions(actions))
        if any(action.name == "t" for action in listed):
            draft.links[place].transformations.clear()
        for action in listed:
            if action.name in ("id", "phase", "chain"):
                raise Mistake(f"{action.name} cannot be changed", action.offset)
            read_action(draft, action, chained=place > 0)
        draft.links += later
        return draft.finished()

    return _replace(items, chosen, changed)


def _replace(items: list[Rule | Marker], chosen: Callable[[Rule], bool], changed: Callable[[Rule], Rule]) -> int:
    count = 0
    for index, item in enumerate(items):
        if isinstance(item, Rule) and chosen(item):
            items[index] = changed(item)
            count += 1
    return count
