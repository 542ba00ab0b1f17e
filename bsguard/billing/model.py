"""The ledger as plain arithmetic, to compare the real one with. Nothing here knows of SQL or of time passing.

It is written for being obviously right: every credit of a hold is an element of a list that names where it came from.
Use it with small amounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: Where a credit came from if no grant gave it.
BOUGHT: Final = 0


@dataclass(slots=True)
class GrantModel:
    """A grant: what is left of it, and when it ends."""

    number: int
    left: int
    priority: int
    #: Seconds, as the model's clock counts; None for never.
    ends: float | None

    @property
    def order(self) -> tuple[int, float, int]:
        """Which grant burns before which."""
        return (self.priority, float("inf") if self.ends is None else self.ends, self.number)


@dataclass(slots=True)
class HoldModel:
    """A hold, credit by credit."""

    account: str
    credits: list[int]
    ends: float | None
    settled: str | None = None
    charged: int = 0
    refunded: int = 0


@dataclass(slots=True)
class AccountModel:
    """An account: what was bought and is left, and its grants."""

    floor: int
    bought: int = 0
    reserved: int = 0
    grants: dict[int, GrantModel] = field(default_factory=dict)

    @property
    def granted(self) -> int:
        """What grants have left."""
        return sum(grant.left for grant in self.grants.values())

    def lapsed(self, now: float) -> int:
        """What grants have left that are over."""
        return sum(grant.left for grant in self.grants.values() if grant.ends is not None and grant.ends <= now)

    def spendable(self, now: float) -> int:
        """What can be reserved."""
        return self.bought + self.granted - self.lapsed(now) - self.floor


class LedgerModel:
    """Answers every verb with the name of the outcome or of the error, and keeps the balances."""

    def __init__(self) -> None:
        self.accounts: dict[str, AccountModel] = {}
        self.holds: dict[str, HoldModel] = {}
        self._keys: dict[tuple[str, str], tuple[object, ...]] = {}

    def open(self, account: str, floor: int) -> str:
        """Make an account."""
        known = self.accounts.setdefault(account, AccountModel(floor))
        return "Opened" if known.floor == floor else "AlreadyOpen"

    def _once(self, account: str, key: str, *told: object) -> str | None:
        first = self._keys.setdefault((account, key), told)
        if first is told:
            return None
        return "again" if first == told else "KeyConflict"

    def topup(self, account: str, amount: int, key: str) -> str:
        """Add bought credits."""
        known = self.accounts.setdefault(account, AccountModel(0))
        once = self._once(account, key, "topup", amount)
        if once is None:
            known.bought += amount
        return "KeyConflict" if once == "KeyConflict" else "ToppedUp"

    def grant(self, account: str, amount: int, priority: int, ends: float | None, key: str, number: int) -> str:
        """Add given credits; *number* is what the ledger called the grant."""
        known = self.accounts.setdefault(account, AccountModel(0))
        once = self._once(account, key, "grant", amount, priority, ends)
        if once is None:
            known.grants[number] = GrantModel(number, amount, priority, ends)
        return "KeyConflict" if once == "KeyConflict" else "Granted"

    def adjust(self, account: str, amount: int, key: str) -> str:
        """Correct a balance."""
        known = self.accounts.get(account)
        if known is None:
            return "UnknownAccount"
        told = ("adjust", amount)
        first = self._keys.get((account, key))
        if first is not None:
            return "Adjusted" if first == told else "KeyConflict"
        if amount < 0 and known.bought + amount < known.floor:
            return "InsufficientCredits"
        self._keys[account, key] = told
        known.bought += amount
        return "Adjusted"

    def reserve(self, account: str, amount: int, generation: str, ends: float | None, now: float) -> str:
        """Set credits aside."""
        known = self.accounts.get(account)
        if known is None:
            return "UnknownAccount"
        hold = self.holds.get(generation)
        if hold is not None:
            if hold.account != account:
                return "WrongOwner"
            return "Reserved" if len(hold.credits) == amount else "AlreadyReserved"
        if amount > known.spendable(now):
            return "InsufficientCredits"
        live = [grant for grant in known.grants.values() if grant.ends is None or grant.ends > now]
        taken: list[int] = []
        for grant in sorted(live, key=lambda grant: grant.order):
            part = min(grant.left, amount - len(taken))
            grant.left -= part
            taken += [grant.number] * part
        known.bought -= amount - len(taken)
        taken += [BOUGHT] * (amount - len(taken))
        known.reserved += amount
        self.holds[generation] = HoldModel(account, taken, ends)
        return "Reserved"

    def charge(self, generation: str, actual: int) -> str:
        """Spend what was used."""
        hold = self.holds.get(generation)
        if hold is None:
            return "UnknownGeneration"
        if hold.settled == "charged":
            return "Charged" if hold.charged == actual else "AlreadyCharged"
        if hold.settled is not None:
            return f"Already{hold.settled.title()}"
        if actual > len(hold.credits):
            return "OverSettlement"
        self._settle(hold, "charged", actual)
        return "Charged"

    def release(self, generation: str, settled: str = "released") -> str:
        """Give everything back."""
        hold = self.holds.get(generation)
        if hold is None:
            return "UnknownGeneration"
        if hold.settled not in (None, settled):
            return f"Already{hold.settled.title()}"
        if hold.settled is None:
            self._settle(hold, settled, 0)
        return "Released"

    def refund(self, generation: str, amount: int | None) -> str:
        """Give back a charge."""
        hold = self.holds.get(generation)
        if hold is None:
            return "UnknownGeneration"
        if hold.settled is None:
            return "NotCharged"
        if hold.settled != "charged":
            return f"Already{hold.settled.title()}"
        wanted = hold.charged if amount is None else amount
        if hold.refunded:
            return "Refunded" if hold.refunded == wanted else "AlreadyRefunded"
        if wanted > hold.charged:
            return "OverSettlement"
        hold.refunded = wanted
        self._give_back(hold, hold.charged - wanted, hold.charged)
        return "Refunded"

    def expire(self, now: float) -> tuple[int, int, int, int]:
        """End what is due: holds, their credits, grants, their credits."""
        due = [one for one in self.holds.values() if one.settled is None and one.ends is not None and one.ends <= now]
        for hold in due:
            self._settle(hold, "expired", 0)
        over = [
            grant
            for account in self.accounts.values()
            for grant in account.grants.values()
            if grant.left and grant.ends is not None and grant.ends <= now
        ]
        unburned = sum(grant.left for grant in over)
        for grant in over:
            grant.left = 0
        return len(due), sum(len(hold.credits) for hold in due), len(over), unburned

    def _settle(self, hold: HoldModel, how: str, charged: int) -> None:
        hold.settled, hold.charged = how, charged
        self.accounts[hold.account].reserved -= len(hold.credits)
        self._give_back(hold, charged, len(hold.credits))

    def _give_back(self, hold: HoldModel, begin: int, end: int) -> None:
        account = self.accounts[hold.account]
        for origin in hold.credits[begin:end]:
            if origin == BOUGHT:
                account.bought += 1
            else:
                account.grants[origin].left += 1
