"""What the rules come to that read and write TX alone, as long as no other rule has written to it.

CRS ends its phases with rules that add up scores and compare them. Over the TX that every request begins with they
come to the same every time, so they are run when the rules load, and again only for requests that change TX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.seclang.bodies import Limits
from bsguard.seclang.compiler import Plan
from bsguard.seclang.engine import Engine
from bsguard.seclang.model import Options
from bsguard.seclang.request import Request
from bsguard.seclang.txnames import references, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bsguard.seclang.compiler import Step
    from bsguard.seclang.model import Link

#: The phases that a request may go through, beginnings of these included.
_WAYS: Final = ((1, 2, 3, 4, 5), (1, 2, 3, 5), (1, 2, 5), (1, 5))


@dataclass(frozen=True, slots=True)
class Course:
    """One phase over a TX that no request has changed."""

    #: TX before each step, and at the end.
    states: tuple[Mapping[bytes, bytes], ...]
    #: Bits of the steps that are neither settled here nor jumped over by one that is.
    open: int


def settle(plan: Plan) -> tuple[dict[int, int], dict[tuple[int, ...], Course]]:
    """The bits of the steps of each phase that are settled, and a course for each way there."""
    settled = {
        number: sum(1 << position for position, step in enumerate(steps) if _asks_tx_alone(step))
        for number, steps in plan.phases.items()
    }
    while True:
        courses: dict[tuple[int, ...], Course] = {}
        loud = dict.fromkeys(settled, 0)
        for way in _WAYS:
            state = dict(plan.initial)
            for length, number in enumerate(way, 1):
                course, speaks = _run(plan.phases[number], settled[number], state)
                courses[way[:length]] = course
                loud[number] |= speaks
                state = dict(course.states[-1])
        if not any(loud.values()):
            return settled, courses
        settled = {number: bits & ~loud[number] for number, bits in settled.items()}


def settled_ids(plan: Plan, settled: Mapping[int, int]) -> frozenset[int]:
    """The ids of the rules that *settled* are bits of."""
    return frozenset(
        step.rule.id
        for number, steps in plan.phases.items()
        for position, step in enumerate(steps)
        if settled[number] >> position & 1
    )


def _run(steps: tuple[Step, ...], settled: int, state: dict[bytes, bytes]) -> tuple[Course, int]:
    """The course of one phase, and the bits of steps that do more than write to TX."""
    engine = Engine(Plan(), Options(), Request(), Limits())
    states: list[Mapping[bytes, bytes]] = []
    go_on = open_ = loud = 0
    for position, step in enumerate(steps):
        states.append(state)
        if position < go_on:
            continue
        if not settled >> position & 1:
            open_ |= 1 << position
            continue
        engine.transaction.stores["TX"] = changed = dict(state)
        if engine.fires(step):
            if step.rule.log or step.rule.disruptive != "pass":
                loud |= 1 << position
            go_on = step.jump or 0
        if changed != state:
            state = changed
    states.append(state)
    return Course(tuple(states), open_), loud


def _asks_tx_alone(step: Step) -> bool:
    return all(_is_about_tx(link) for link in step.rule.links)


def _is_about_tx(link: Link) -> bool:
    if link.controls or any(change.collection != "TX" for change in link.set_variables):
        return False
    return all(name == "TX" for name in _read(link))


def _read(link: Link) -> Iterator[str]:
    for variable in link.variables:
        yield variable.name
    for reference in references(texts(link)):
        yield reference.name
