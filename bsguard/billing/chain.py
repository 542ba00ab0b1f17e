"""One definition, two shapes: a chain of dependent changes that is one statement on PostgreSQL and several on SQLite.

PostgreSQL runs the steps as data-modifying common table expressions of a single statement, which is its own
transaction. SQLite has none, so there each step is a statement, and what a step returns is bound into the next ones;
the runner holds the write lock around them. A step that changes no row closes the gate: nothing after it happens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    String,
    Update,
    bindparam,
    func,
    literal_column,
    select,
    true,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Dialect, FromClause, Select
    from sqlalchemy.sql.dml import UpdateBase

# Texts of the statement itself: as parameters they would be sent with every call.
_SETTING: Final[ColumnElement[str]] = literal_column("'lock_timeout'", String)
_LOCAL: Final[ColumnElement[bool]] = literal_column("true", Boolean)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement compiled once: its text, and the order of its parameters for drivers that take them by position."""

    sql: str
    names: tuple[str, ...] | None
    constants: Mapping[str, Any]

    def bind(self, values: Mapping[str, Any]) -> Any:
        """The *values* as the driver wants them."""
        if self.names is None:
            return {**self.constants, **values} if self.constants else values
        return tuple([values[name] if name in values else self.constants[name] for name in self.names])


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a plan for SQLite."""

    name: str
    prepared: Prepared
    #: The columns it returns, empty when it does not close the gate.
    returns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a runner executes. The answer is a mapping from the names in *columns* to values."""

    name: str
    #: The changes, one after the other; empty where the last statement contains them.
    steps: tuple[Step, ...]
    #: The statement that answers. After steps it is run only when the gate was closed, to tell why.
    last: Prepared
    columns: tuple[str, ...]
    #: Where the steps themselves answer: the name of the value for each column, None for what only *last* can tell.
    told_by_steps: Mapping[str, str | None] = field(default_factory=dict)


class Chain:
    """Collects the steps of one operation and makes the plan."""

    def __init__(self, name: str, dialect: Dialect) -> None:
        self._name = name
        self._dialect = dialect
        self._limited = False
        #: Whether the engine takes all steps as one statement.
        self.single = dialect.name == "postgresql"
        self._parts: list[Any] = []
        self._steps: list[Step] = []

    def one(self, name: str, change: UpdateBase, *returning: ColumnElement[Any]) -> Any:
        """A step that changes one row or closes the gate; gives access to what it returns as columns."""
        names = tuple(str(one.key) for one in returning)
        if self.single and not self._limited and isinstance(change, Update):
            # The first step is the first to wait for a lock. A setting made here ends with the statement, so the
            # caller's connection is left as it was. None leaves the limit alone: then it is the caller's transaction.
            change = change.where(limited_wait())
            self._limited = True
        change = change.returning(*returning)
        if self.single:
            part = change.cte(name)
            self._parts.append(part)
            return part.c
        self._steps.append(Step(name, prepare(change, self._dialect), names))
        return _Bound({str(one.key): bindparam(f"{name}_{one.key}", type_=one.type) for one in returning})

    def many(self, name: str, change: UpdateBase, stored: FromClause, *returning: ColumnElement[Any]) -> Any:
        """A step that writes any number of rows; later steps read them from *stored* where they can see it."""
        if self.single:
            part = change.returning(*returning).cte(name)
            self._parts.append(part)
            return part.c
        self._steps.append(Step(name, prepare(change, self._dialect), ()))
        return stored.c

    def also(self, name: str, change: UpdateBase, witness: ColumnElement[Any]) -> None:
        """A step that nothing depends on. *witness* is any column of its table."""
        if self.single:
            self._parts.append(change.returning(witness).cte(name))
        else:
            self._steps.append(Step(name, prepare(change, self._dialect), ()))

    def finish(self, answer: Mapping[str, ColumnElement[Any]], base: FromClause, where: ColumnElement[bool]) -> Plan:
        """The plan: *answer* names what to tell, from the steps and from *base*, as it was before them."""
        labels = [value.label(name) for name, value in answer.items()]
        if self.single:
            told = _tables_of(answer)
            gates = [part for part in self._parts if part.name in told and part is not base]
            source: FromClause = base
            for gate in gates:
                source = source.outerjoin(gate, true())
            last: Select[Any] = select(*labels).select_from(source).where(where).add_cte(*self._parts)
            return Plan(self._name, (), prepare(last, self._dialect), tuple(answer))
        last = select(*labels).select_from(base).where(where)
        told_by_steps = {
            name: value.key if isinstance(value, BindParameter) else None for name, value in answer.items()
        }
        return Plan(self._name, tuple(self._steps), prepare(last, self._dialect), tuple(answer), told_by_steps)


@dataclass(slots=True)
class _Bound:
    """The columns of an earlier step, as parameters of a later one."""

    columns: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.columns[name]
        except KeyError:
            raise AttributeError(name) from None


def prepare(statement: Any, dialect: Dialect) -> Prepared:
    """Compile *statement* for the driver of *dialect*."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    names = tuple(compiled.positiontup) if compiled.positional and compiled.positiontup is not None else None
    return Prepared(str(compiled), names, constants)


def limited_wait() -> ColumnElement[bool]:
    """True, and as a side effect the limit for waiting on a lock, until the statement or transaction ends."""
    wanted = func.coalesce(word("lock_timeout"), func.current_setting(_SETTING))
    return select(func.set_config(_SETTING, wanted, _LOCAL)).scalar_subquery().is_not(None)


def number(name: str) -> Any:
    """A parameter that is a whole number."""
    return bindparam(name, type_=BigInteger())


def word(name: str) -> Any:
    """A parameter that is a text."""
    return bindparam(name, type_=String())


def _tables_of(answer: Mapping[str, ColumnElement[Any]]) -> set[str]:
    return {str(table.name) for value in answer.values() if (table := getattr(value, "table", None)) is not None}


def read(name: str, dialect: Dialect, statement: Select[Any], columns: Sequence[str]) -> Plan:
    """A plan that only reads."""
    return Plan(name, (), prepare(statement, dialect), tuple(columns))
