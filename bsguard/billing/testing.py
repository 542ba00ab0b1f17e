"""For users' own tests: the invariants, and a state machine that drives a ledger against a model.

    from bsguard.billing.testing import assert_invariants, ledger_machine

    def test_our_billing(engine):
        ...
        assert_invariants(Ledger(engine))

    TestLedger = ledger_machine(make_our_ledger).TestCase    # needs Hypothesis

Nothing here is needed in production.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from bsguard.billing import points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.stateful import RuleBasedStateMachine

    from bsguard.billing.ledger import Ledger

    class SteppableClock(Protocol):
        """A clock that a test moves, such as ``bsguard.testing.FakeClock``."""

        def now(self) -> float: ...  # noqa: D102
        def advance(self, seconds: float) -> None: ...  # noqa: D102


def assert_invariants(ledger: Ledger) -> None:
    """Fail with everything that :meth:`Ledger.audit` finds."""
    found = ledger.audit()
    if found:
        raise AssertionError("\n".join(f"{one.check} {one.id}: {one.detail}" for one in found))


@contextmanager
def at_every_point(hook: Callable[[str], None]) -> Iterator[None]:
    """Call *hook* with the name of every place in :data:`bsguard.billing.points.POINTS` that an operation passes."""
    before, points.hook = points.hook, hook
    try:
        yield
    finally:
        points.hook = before


def ledger_machine(
    make: Callable[[], tuple[Ledger, SteppableClock]], *, after_step: Callable[[], None] | None = None
) -> type[RuleBasedStateMachine]:
    """A Hypothesis state machine that calls every verb and compares outcome and balances with the model.

    *make* returns a ledger and its clock for each example; the examples may share one database. *after_step* is
    called after each step, to count them.
    """
    # Imported here: users who only want the invariants need no Hypothesis.
    from bsguard.billing.machine import LedgerMachine

    class Machine(LedgerMachine):
        """The machine on the ledger of the caller."""

    Machine.make = staticmethod(make)
    Machine.after_step = None if after_step is None else staticmethod(after_step)
    Machine.check = staticmethod(assert_invariants)
    return Machine
