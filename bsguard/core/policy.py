"""What becomes of a finding: the layer's mode, the rule's own mode, and the exceptions decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bsguard.core.config import Wanted
from bsguard.core.exemptions import Exemption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bsguard.core.clock import Clock
    from bsguard.core.overrides import Override, Overrides
    from bsguard.core.request import Request
    from bsguard.core.settings import Mode
    from bsguard.core.verdict import Finding

Outcome = Literal["refuse", "report", "log", "except", "ignore"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """The outcome for one finding, and the comment of the exception that covered it."""

    outcome: Outcome
    comment: str = ""


_LOG: Final = Ruling("log")
_RULINGS: Final[Mapping[Outcome, Ruling]] = {
    "refuse": Ruling("refuse"),
    "report": Ruling("report"),
    "ignore": Ruling("ignore"),
}


class Policy:
    """Rules on the findings of one layer. Consulted only when a rule has fired, so its cost is not in the way."""

    def __init__(
        self,
        mode: Mode,
        rule_modes: tuple[tuple[str, Mode], ...],
        exceptions: tuple[Exemption, ...],
        overrides: Overrides,
        clock: Clock,
    ) -> None:
        self._exceptions = exceptions
        self._overrides = overrides
        self._clock = clock
        #: What becomes of findings that no exception covers, by rule; under the empty name, of all others.
        self.outcomes: Mapping[str, Outcome] = {
            "": _outcome(mode, mode),
            **{rule: _outcome(own, mode) for rule, own in rule_modes},
        }
        #: The table's entries as last seen, and all exceptions with those that were made of them.
        self._known: tuple[tuple[Override, ...], tuple[Exemption, ...]] = ((), exceptions)

    def excepts(self) -> bool:
        """Whether there is any exception, so that :attr:`outcomes` is not the whole truth."""
        return bool(self.exemptions(self._clock.now()))

    def rule_on(self, finding: Finding, request: Request) -> Ruling:
        """The outcome for *finding* on *request*."""
        now = self._clock.now()
        for exemption in self.exemptions(now):
            if exemption.covers(finding, request, now):
                return Ruling("except", exemption.comment)
        if finding.action == "log":
            return _LOG
        return _RULINGS[self.outcomes.get(finding.rule, self.outcomes[""])]

    def exemptions(self, now: float) -> tuple[Exemption, ...]:
        """All exceptions, from the settings and from run time; the same tuple until they change.

        An entry that cannot be read excepts nothing.
        """
        kept, known = self._known
        try:
            overrides = self._overrides.active("exception", now)
        except Exception:  # whoever keeps the table, what cannot be read excepts nothing new
            return known
        if overrides is not kept:
            parsed = tuple(exemption for exemption in map(_parse, overrides) if exemption is not None)
            known = (*self._exceptions, *parsed)
            self._known = (overrides, known)
        return known


def _outcome(mode: Mode, of_layer: Mode) -> Outcome:
    """What becomes of a finding in *mode*; no rule is stricter than its layer: monitoring must never block."""
    if mode == "enforce" and of_layer == "monitor":
        return "report"
    return "report" if mode == "monitor" else "ignore" if mode == "off" else "refuse"


def _parse(override: Override) -> Exemption | None:
    try:
        return Exemption.parse({"comment": override.comment, **override.value})
    except (Wanted, TypeError):  # TypeError: the value is no mapping
        return None
