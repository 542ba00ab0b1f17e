"""Runs plans and turns what can happen to a database into the ledger's own errors. Decides what may be tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from bsguard.billing.amounts import now_of
from bsguard.billing.errors import Contention, DatabaseUnavailable, OutcomeUnknown, SchemaMissing
from bsguard.billing.faults import Fault, fault_of
from bsguard.billing.install import WANTED, check_version
from bsguard.billing.runner import ConnectFailed
from bsguard.billing.sqlite import CommitFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Dialect

    from bsguard.billing.chain import Plan
    from bsguard.billing.runner import Answer, Runner, Values
    from bsguard.core.clock import Clock

_Found = TypeVar("_Found")

#: How often an operation is tried before its caller hears of it. The second try follows a connection that the server
#: had closed while it lay idle, or a deadlock; a third one a restart in between.
TRIES_MAX: Final = 3


class Duplicate(Exception):
    """The database refused to write something a second time; the caller looks what the first time was."""


class OutOfBounds(Exception):
    """The database refused a balance."""


class Execution:
    """A runner, the clock, and the compiled plans."""

    def __init__(self, runner: Runner, clock: Clock) -> None:
        self.runner = runner
        self.clock = clock
        self._plans = plans_of(runner.dialect)
        self._checked = False

    def joining(self, runner: Runner) -> Execution:
        """The same on another *runner*; a schema that was found good is not looked at again."""
        joined = Execution(runner, self.clock)
        joined._checked = self._checked
        return joined

    def now(self) -> int:
        """The present in microseconds."""
        return now_of(self.clock)

    def plan(self, name: str, make: Callable[[Dialect], Plan]) -> Plan:
        """The plan called *name*; two threads may make it at once, which is harmless."""
        made = self._plans.get(name)
        if made is None:
            made = self._plans[name] = make(self.runner.dialect)
        return made

    def run(
        self, operation: str, plan: Plan, values: Values, *, lock: str | None = None, key: str | None = None
    ) -> Answer | None:
        """Run *plan*. Raises Duplicate and OutOfBounds besides errors that users see."""
        return self._tried(operation, key, lambda: self.runner.run(plan, dict(values), lock=lock))

    def run_each(self, operation: str, plan: Plan, values: Sequence[Values]) -> list[Answer | None]:
        """Run *plan* for each of *values* in one transaction."""
        return self._tried(operation, None, lambda: self.runner.run_each(plan, [dict(one) for one in values]))

    def read(self, plan: Plan, values: Values, *, operation: str = "reading") -> list[Answer]:
        """All rows of a plan; also one that changes rows and answers with many."""
        return self._tried(operation, None, lambda: self.runner.read(plan, dict(values)))

    def reading(self, look: Callable[[Connection], _Found]) -> _Found:
        """What *look* finds on a connection that sees one state of the database."""

        def attempt() -> _Found:
            with self.runner.connect() as connection:
                return look(connection)

        return self._tried("audit", None, attempt)

    def _tried(self, operation: str, key: str | None, attempt: Callable[[], _Found]) -> _Found:
        if not self._checked:
            self._check()
        unknown = False
        for tries_left in reversed(range(TRIES_MAX)):
            try:
                return attempt()
            except ConnectFailed as failed:
                if unknown:
                    raise OutcomeUnknown(operation, key) from failed.__cause__
                if fault_of(failed.__cause__ or failed, self.runner.dialect) is Fault.CONTENTION:
                    raise Contention("no connection of the pool became free") from failed.__cause__
                raise _no_connection(failed.__cause__ or failed) from failed.__cause__
            except CommitFailed as failed:
                raise OutcomeUnknown(operation, key) from failed.__cause__
            except self.runner.errors as error:
                fault = fault_of(error, self.runner.dialect)
                again = tries_left > 0 and self.runner.owns
                if fault is Fault.LOST:
                    unknown = True
                    self.runner.lost()
                    if again:
                        continue
                    raise self._lost(operation, key) from error
                if fault is Fault.CONTENTION and again and _was_chosen_to_yield(error):
                    continue
                raise _translated(fault, error) from error
        raise AssertionError("unreachable")

    def _lost(self, operation: str, key: str | None) -> Exception:
        if self.runner.owns:
            return OutcomeUnknown(operation, key)
        return DatabaseUnavailable("the connection is lost, and your transaction with it; begin it again")

    def _check(self) -> None:
        try:
            with self.runner.connect() as connection:
                check_version(connection)
        except Exception as error:
            if not isinstance(error, (ConnectFailed, *self.runner.errors)):
                raise
            fault = fault_of(error.__cause__ or error, self.runner.dialect)
            if fault is Fault.LOST or isinstance(error, ConnectFailed):
                raise _no_connection(error.__cause__ or error) from error
            raise _translated(fault, error) from error
        self._checked = True


_all_plans: dict[tuple[str, str, str], dict[str, Plan]] = {}


def plans_of(dialect: Dialect) -> dict[str, Plan]:
    """The plans compiled for drivers such as that of *dialect*, which all ledgers of the process share."""
    return _all_plans.setdefault((dialect.name, dialect.driver, dialect.paramstyle), {})


def _translated(fault: Fault, error: Exception) -> Exception:
    match fault:
        case Fault.DUPLICATE:
            return Duplicate()
        case Fault.BOUNDS:
            return OutOfBounds()
        case Fault.CONTENTION:
            return Contention(f"the database was busy for too long: {_short(error)}")
        case Fault.SCHEMA:
            return SchemaMissing(None, WANTED)
        case Fault.UNAVAILABLE | Fault.LOST:
            return DatabaseUnavailable(f"the database cannot do this: {_short(error)}")
    return error


def _was_chosen_to_yield(error: Exception) -> bool:
    """A deadlock or a serialization failure: unlike after a lock time-out, the next try finds the way free."""
    original = getattr(error, "orig", None) or error
    return getattr(original, "sqlstate", getattr(original, "pgcode", None)) in ("40001", "40P01")


def _no_connection(error: BaseException) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"no connection to the database: {_short(error)}")


def _short(error: BaseException) -> str:
    # The driver's first line; the rest may quote statements and values.
    return str(getattr(error, "orig", None) or error).partition("\n")[0]
