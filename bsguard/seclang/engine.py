"""Runs a plan over one exchange: phases in order, rules in order, links of a chain one after the other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from bsguard.seclang.compiler import Machine
from bsguard.seclang.operators import integer
from bsguard.seclang.prefilter import EVERYTHING
from bsguard.seclang.prefilter.chains import CHANGES_CASE
from bsguard.seclang.request import NO_EXCLUSIONS, Found, Inspection, Match, Verdict
from bsguard.seclang.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bsguard.seclang.bodies import Limits
    from bsguard.seclang.compiler import Plan, Runnable, Shortcuts, Step, Target
    from bsguard.seclang.model import Options, Rule
    from bsguard.seclang.prefilter import Scanned
    from bsguard.seclang.request import Exclusions, Request, Response

_LOGGING: Final = 5
#: Variables of which the prefilter has seen everything once it has looked at the head.
_OF_HEADERS: Final = frozenset({"REQUEST_HEADERS", "REQUEST_HEADERS_NAMES"})
#: Part of the names of the TX entries in which rules add up what they have found.
_SCORE: Final = b"anomaly_score"


class Engine:
    """One exchange on its way through the rules: first the head, then the body, then perhaps the response."""

    __slots__ = (
        "_apart",
        "_gained",
        "_parts",
        "_trying",
        "allowed_until",
        "exclusions",
        "machine",
        "matches",
        "options",
        "plan",
        "spared",
        "transaction",
        "verdict",
        "way",
    )

    def __init__(
        self,
        plan: Plan,
        options: Options,
        request: Request,
        limits: Limits,
        exclusions: Exclusions = NO_EXCLUSIONS,
    ) -> None:
        self.plan = plan
        self.options = options
        self.transaction = Transaction(request, limits, plan.initial, tx_is_known=plan.shortcuts is not None)
        self.transaction.request_body = options.request_body
        self.transaction.removed |= exclusions.removed
        self.machine = Machine(options.engine, response_body=options.response_body)
        self.matches: list[Match] = []
        self.verdict = Verdict()
        self.spared: list[Match] = []
        #: Phase after which ``allow`` ends.
        self.allowed_until = 0
        #: Phases gone through.
        self.way: tuple[int, ...] = ()
        self.exclusions = exclusions
        self._apart = exclusions.apart if exclusions is not NO_EXCLUSIONS else frozenset()
        if self._apart or exclusions.removed:
            settled = frozenset() if plan.shortcuts is None else plan.shortcuts.settled_ids
            if not settled.isdisjoint(exclusions.removed | self._apart):
                self.transaction.own_tx()
        #: Whether the rule at hand is only tried.
        self._trying = False
        #: The parts of the values that the current rule has matched.
        self._parts: list[bytes] = []
        #: What the rule at hand has added to the anomaly scores.
        self._gained = 0

    def run(self, response: Response | None) -> Inspection:
        """Run every phase that there is something for."""
        self.head()
        self.body(self.transaction.request.body)
        if response is not None:
            self.response(response)
        if self.machine.engine != "Off":
            self._steps(_LOGGING)
        return self.outcome()

    def head(self) -> None:
        """Phase 1: everything but the body."""
        self.phase(1)

    def body(self, body: bytes) -> None:
        """Phase 2: the whole request, of which *body* is the body."""
        if not self.going_on:
            return
        transaction = self.transaction
        if body is not transaction.request.body:
            transaction.request = transaction.request.with_body(body)
        transaction.read_body()
        self.phase(2)
        self._refuse_unread()

    def response(self, response: Response) -> None:
        """Phases 3 and 4: the response's head, and its body where the rules want it."""
        if not self.going_on:
            return
        transaction = self.transaction
        transaction.read_response_head(response)
        self.phase(3)
        if self.going_on and self.machine.response_body and self._looks_at_body():
            transaction.read_response_body(response)
            self.phase(4)

    @property
    def going_on(self) -> bool:
        """Whether further phases run."""
        return self.verdict.allowed and self.machine.engine != "Off"

    def _looks_at_body(self) -> bool:
        media = self.transaction.first("RESPONSE_CONTENT_TYPE").partition(b";")[0].strip().lower()
        return media.decode("latin-1") in self.options.response_types

    def outcome(self) -> Inspection:
        """What has come of it so far."""
        transaction = self.transaction
        error = "" if transaction.unread is None else transaction.unread.error
        names = self.plan.names
        written = {name: value for name, value in transaction.stores["TX"].items() if name in names}
        return Inspection(tuple(self.matches), tuple(self.spared), self.verdict, written, error)

    def _refuse_unread(self) -> None:
        """Refuse what the rules could not see whole, unless they have decided, or an ``allow`` has."""
        unread = self.transaction.unread
        if unread is not None and self.going_on and self.machine.engine == "On" and not self.allowed_until:
            self.verdict = Verdict("deny", 413 if unread.limit else 400, 0, 2)

    def phase(self, number: int) -> None:
        """Run one phase, unless ``allow`` has let it pass."""
        if number > self.allowed_until:
            self._steps(number)

    def _steps(self, number: int) -> None:
        shortcuts = self.plan.shortcuts
        self.way += (number,)
        if shortcuts is None:
            self._every_step(number)
        else:
            self._possible_steps(number, shortcuts)

    def _every_step(self, number: int) -> None:
        steps = self.plan.phases[number]
        index, end = 0, len(steps)
        removed = self.transaction.removed
        while index < end:
            step = steps[index]
            index += 1
            if step.rule.id in removed or not self._runs(step):
                continue
            if step.jump is not None:
                index = step.jump
            if self._decides(step.rule, number) or self.machine.engine == "Off":
                return

    def _possible_steps(self, number: int, shortcuts: Shortcuts) -> None:
        """Run those steps of a phase that may match; bits stand for steps, the lowest for the first."""
        transaction = self.transaction
        phase = shortcuts.prefilter.phases[number]
        found = shortcuts.prefilter.candidates(transaction) if phase.waiting else 0
        possible = found >> phase.offset & phase.waiting | phase.always
        course = shortcuts.courses.get(self.way) if transaction.tx_is_known else None
        if course is None:
            transaction.own_tx()
            todo = possible | shortcuts.settled[number]
        else:
            todo = possible & course.open
        steps = self.plan.phases[number]
        while todo:
            lowest = todo & -todo
            todo ^= lowest
            index = lowest.bit_length() - 1
            step = steps[index]
            if phase.needs[index] & ~found or step.rule.id in transaction.removed:
                continue
            if course is not None:
                transaction.stores["TX"] = course.states[index]
            fired = self._runs(step, phase.scanned[index])
            if course is not None and not self._goes_on_as_known(step, shortcuts):
                course = None
                transaction.own_tx()
                todo = (possible | shortcuts.settled[number]) >> index + 1 << index + 1
            if not fired:
                continue
            if step.jump is not None:
                todo = todo >> step.jump << step.jump
            if self._decides(step.rule, number) or self.machine.engine == "Off":
                return
        if course is not None:
            transaction.stores["TX"] = course.states[-1]

    def _goes_on_as_known(self, step: Step, shortcuts: Shortcuts) -> bool:
        """Whether TX is as it was, and the rules that ask and change it are the same, now that *step* has run."""
        transaction = self.transaction
        return transaction.tx_is_known and not step.disturbs and shortcuts.settled_ids.isdisjoint(transaction.removed)

    def _runs(self, step: Step, scanned: Sequence[Scanned | None] = ()) -> bool:
        """Whether the rule matches and is not kept from having an effect."""
        return self._fires_apart(step) if step.rule.id in self._apart else self.fires(step, scanned)

    def fires(self, step: Step, scanned: Sequence[Scanned | None] = ()) -> bool:
        """Whether every link of the rule matches; reports it if it does.

        *scanned* holds, for the first links, what the prefilter knows of them.
        """
        found = self._evaluate(step, scanned)
        if found is not None and step.rule.log:
            self.matches.append(self._match(step, found))
        return found is not None

    def _evaluate(self, step: Step, scanned: Sequence[Scanned | None] = ()) -> tuple[Found, ...] | None:
        """What the first link has matched on, if every link of the rule matches."""
        transaction = self.transaction
        transaction.matched = []
        self._gained = 0
        self._parts = []
        found: tuple[Found, ...] = ()
        for place, link in enumerate(step.links):
            if not self._link(step.rule, link, scanned[place] if place < len(scanned) else None):
                return None
            if place == 0 and step.rule.log:
                found = tuple(map(_found, transaction.matched, self._parts))
        return found

    def _fires_apart(self, step: Step) -> bool:
        """The same for a rule that is excluded, or for which parameters are: reports what it is kept from."""
        rule = step.rule
        match, everything = self._tried(step)
        if match is None:
            return False
        if rule.id in self.exclusions.watched:
            if rule.log:
                self.spared.append(match)
            return False
        fired = self.fires(step)
        for ids, name, excludes in self.exclusions.targets if rule.log else ():
            if rule.id in ids:
                excluded = tuple(one for one in everything if one.collection == name and excludes(one.key))
                if excluded:
                    self.spared.append(dataclasses.replace(match, found=excluded))
        return fired

    def _tried(self, step: Step) -> tuple[Match | None, tuple[Found, ...]]:
        """What the rule would report whatever is excluded, and what all its links match on.

        Everything is afterwards as it was before.
        """
        transaction = self.transaction
        stores: dict[str, Mapping[bytes, bytes]] = {name: dict(store) for name, store in transaction.stores.items()}
        self._trying = True
        try:
            found = self._evaluate(step)
            if found is None:
                return None, ()
            return self._match(step, found), tuple(map(_found, transaction.matched, self._parts))
        finally:
            self._trying = False
            transaction.stores = stores

    def _match(self, step: Step, found: tuple[Found, ...]) -> Match:
        rule = step.rule
        return Match(
            rule.id,
            rule.phase,
            self.transaction.expand(step.message).decode("utf-8", "backslashreplace"),
            self.transaction.expand(step.data).decode("utf-8", "backslashreplace"),
            rule.severity,
            rule.tags,
            found,
            self._gained,
        )

    def _link(self, rule: Rule, link: Runnable, scanned: Scanned | None) -> bool:
        if not link.targets:
            self._act(link)
            return True
        transaction = self.transaction
        match, negated = link.bound(transaction), link.negated
        matched = False
        for target in link.targets:
            seen = transaction.seen.get(target.part)
            if seen is not None and target.name not in seen.covers:
                seen = None
            if scanned is not None:
                found = transaction.found if target.name in _OF_HEADERS else EVERYTHING if seen is None else seen.found
                if not found & scanned.bit:
                    continue
            entries = self._selected(rule, target)
            is_idle = False
            if seen is not None and seen.leaves(link.chain):
                is_idle = link.chain.isdisjoint(CHANGES_CASE)
                if scanned is not None:
                    entries = scanned.narrow(entries, seen)
            for key, value in entries:
                for stage in (value,) if is_idle else transaction.stages(link, value):
                    captures = match(stage)
                    if (captures is None) != negated:
                        continue
                    matched = True
                    transaction.matched.append((_full_name(target, key), stage))
                    self._parts.append(captures[0] if captures else stage)
                    if link.capture and captures:
                        transaction.capture(captures)
                    self._act(link)
        return matched

    def _selected(self, rule: Rule, target: Target) -> list[tuple[bytes, bytes]]:
        selected = target.select(self.transaction)
        if target.counted:
            return selected
        for ids, name, excludes in self.transaction.exclusions:
            if name == target.name and rule.id in ids:
                selected = [entry for entry in selected if not excludes(entry[0])]
        if not self._trying:
            for ids, name, excludes in self.exclusions.targets:
                if name == target.name and rule.id in ids:
                    selected = [entry for entry in selected if not excludes(entry[0])]
        return selected

    def _act(self, link: Runnable) -> None:
        transaction = self.transaction
        for setter in link.setters:
            key, value = transaction.expand(setter.key), transaction.expand(setter.value)
            transaction.write(setter.collection, key, setter.sign, value)
            if setter.sign == "+" and _SCORE in key.lower():
                self._gained += integer(value)
        if not self._trying:
            for control in link.controls:
                control(transaction, self.machine)

    def _decides(self, rule: Rule, phase: int) -> bool:
        """Carry out the disruptive action; says whether the phase ends here."""
        action = rule.disruptive
        if action == "pass" or self.machine.engine != "On":
            return False
        if action == "allow":
            self.allowed_until = {"phase": phase, "request": 2}.get(rule.disruptive_argument.lower(), _LOGGING - 1)
            return True
        if phase != _LOGGING:
            location = rule.disruptive_argument if action == "redirect" else ""
            self.verdict = Verdict(action, rule.status, rule.id, phase, location)  # type: ignore[arg-type]
        return True


def _full_name(target: Target, key: bytes) -> bytes:
    name = target.name.encode()
    return name + b":" + key if key else name


def _found(matched: tuple[bytes, bytes], part: bytes) -> Found:
    name, value = matched
    return Found(name.decode("utf-8", "backslashreplace"), value, part if part in value else value)
