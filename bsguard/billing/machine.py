"""The state machine behind :func:`bsguard.billing.testing.ledger_machine`. Needs Hypothesis.

Every rule calls one verb of the ledger and the same one of the model, and compares outcome and balances.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from bsguard.billing.errors import BillingError
from bsguard.billing.model import LedgerModel

if TYPE_CHECKING:
    from collections.abc import Callable

_ACCOUNTS: Final = st.sampled_from(("a", "b", "c"))
_GENERATIONS: Final = st.sampled_from([f"g{number}" for number in range(8)])
_KEYS: Final = st.sampled_from([f"k{number}" for number in range(6)])
_AMOUNTS: Final = st.integers(1, 40)
_ENDS: Final = st.none() | st.integers(-5, 60)

# Each machine has names of its own, so that they may share a database.
_machines = itertools.count(1)


class LedgerMachine(RuleBasedStateMachine):
    """See :func:`bsguard.billing.testing.ledger_machine`."""

    make: ClassVar[Callable[[], tuple[Any, Any]]]
    after_step: ClassVar[Callable[[], None] | None] = None
    check: ClassVar[Callable[[Any], None]]

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.clock = type(self).make()
        # Whole seconds, which a float holds exactly, as it does the datetimes made from them.
        self.clock.advance(int(self.clock.now()) + 1 - self.clock.now())
        self.model = LedgerModel()
        self.prefix = f"m{next(_machines)}-{id(self.ledger):x}-"

    @rule(account=_ACCOUNTS, floor=st.sampled_from((0, 0, -10, -30)))
    def open(self, account: str, floor: int) -> None:
        """Make an account."""
        self.same(lambda: self.ledger.open(self.name(account), floor), self.model.open(account, floor))

    @rule(account=_ACCOUNTS, amount=_AMOUNTS, key=_KEYS)
    def topup(self, account: str, amount: int, key: str) -> None:
        """Add bought credits."""
        told = self.told(lambda: self.ledger.topup(self.name(account), amount, key=key))
        self.compare(told, self.model.topup(account, amount, key))

    @rule(account=_ACCOUNTS, amount=_AMOUNTS, priority=st.integers(0, 2), end=_ENDS, key=_KEYS)
    def grant(self, account: str, amount: int, priority: int, end: int | None, key: str) -> None:
        """Add given credits."""
        moment = self.moment(end)
        told = self.told(
            lambda: self.ledger.grant(
                self.name(account), amount, priority=priority, expires_at=_datetime(moment), key=key
            )
        )
        number = getattr(told, "grant", -1)
        self.compare(told, self.model.grant(account, amount, priority, moment, key, number))

    @rule(account=_ACCOUNTS, amount=st.integers(-30, 30).filter(bool), key=_KEYS)
    def adjust(self, account: str, amount: int, key: str) -> None:
        """Correct a balance."""
        told = self.told(lambda: self.ledger.adjust(self.name(account), amount, actor="x", reason="y", key=key))
        self.compare(told, self.model.adjust(account, amount, key))

    @rule(account=_ACCOUNTS, amount=_AMOUNTS, generation=_GENERATIONS, end=_ENDS)
    def reserve(self, account: str, amount: int, generation: str, end: int | None) -> None:
        """Set credits aside."""
        moment = self.moment(end)
        told = self.told(
            lambda: self.ledger.reserve(self.name(account), amount, self.name(generation), expires_at=_datetime(moment))
        )
        self.compare(told, self.model.reserve(account, amount, generation, moment, self.clock.now()))

    @rule(generation=_GENERATIONS, actual=_AMOUNTS)
    def charge(self, generation: str, actual: int) -> None:
        """Spend some."""
        self.same(lambda: self.ledger.charge(self.name(generation), actual), self.model.charge(generation, actual))

    @rule(generation=_GENERATIONS, share=st.integers(1, 4))
    def charge_a_share(self, generation: str, share: int) -> None:
        """Spend a quarter to all of what is reserved."""
        hold = self.model.holds.get(generation)
        if hold is not None:
            self.charge(generation, max(1, len(hold.credits) * share // 4))

    @rule(generation=_GENERATIONS)
    def release(self, generation: str) -> None:
        """Give back a hold."""
        self.same(lambda: self.ledger.release(self.name(generation)), self.model.release(generation))

    @rule(generation=_GENERATIONS, amount=st.none() | _AMOUNTS)
    def refund(self, generation: str, amount: int | None) -> None:
        """Give back a charge."""
        self.same(lambda: self.ledger.refund(self.name(generation), amount), self.model.refund(generation, amount))

    @rule(seconds=st.integers(1, 30))
    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.compare_accounts()

    @rule()
    def expire(self) -> None:
        """End what is due."""
        told = self.ledger.expire()
        counts = (told.holds, told.released, told.grants, told.unburned)
        _must(counts == self.model.expire(self.clock.now()), f"expire did {counts}")
        self.compare_accounts()

    def name(self, name: str) -> str:
        """The name in the database."""
        return self.prefix + name

    def moment(self, end: int | None) -> float | None:
        """Seconds from now as a moment."""
        return None if end is None else self.clock.now() + end

    def told(self, call: Callable[[], object]) -> object:
        """The outcome or the error."""
        try:
            return call()
        except BillingError as error:
            return error

    def same(self, call: Callable[[], object], expected: str) -> None:
        """Call and compare."""
        self.compare(self.told(call), expected)

    def compare(self, told: object, expected: str) -> None:
        """Compare the outcome, then the balances."""
        _must(type(told).__name__ == expected, f"the ledger said {told!r}, the model {expected}")
        self.compare_accounts()

    def compare_accounts(self) -> None:
        """Compare all balances."""
        for name, expected in self.model.accounts.items():
            found = self.ledger.balance(self.name(name))
            numbers = (found.available, found.reserved, found.granted, found.lapsed)
            lapsed = expected.lapsed(self.clock.now())
            wanted = (expected.bought + expected.granted, expected.reserved, expected.granted, lapsed)
            _must(numbers == wanted, f"account {name} has {numbers}, the model {wanted}")
        if type(self).after_step is not None:
            type(self).after_step()  # type: ignore[misc]

    def teardown(self) -> None:
        """Compare the holds, end everything, and audit."""
        # Which grant gave what is not in the balances: only what expires with it would show.
        for name, expected in self.model.holds.items():
            hold = self.ledger.hold(self.name(name))
            _must(hold is not None, f"the hold of {name} is gone")
            if hold is not None:
                found = (hold.reserved, hold.charged, hold.refunded, hold.settled)
                wanted = (len(expected.credits), expected.charged, expected.refunded, expected.settled)
                _must(found == wanted, f"the hold of {name} is {found}, the model's {wanted}")
        self.clock.advance(1_000)
        self.expire()
        type(self).check(self.ledger)


def _datetime(moment: float | None) -> datetime | None:
    return None if moment is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)


def _must(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
