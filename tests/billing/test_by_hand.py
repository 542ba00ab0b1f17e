"""What the database itself refuses, whoever writes: somebody at a console, another program, a bug of ours."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.billing.support import by_hand, snapshot

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from bsguard.billing import Ledger


def entry(
    account: str,
    kind: str,
    generation: str | None,
    amount: int,
    available: int,
    reserved: int,
    settles: str = "NULL, NULL",
) -> str:
    name = "NULL" if generation is None else f"'{generation}'"
    return (
        "INSERT INTO bsguard_entry (account, seq, type, generation, amount, available_change, reserved_change,"
        " settles_type, settles_amount, available, reserved, written_at)"
        f" VALUES ('{account}', 1000, '{kind}', {name}, {amount}, {available}, {reserved}, {settles}, 0, 0, 0)"
    )


def hold(values: str) -> str:
    columns = "generation, account, reserved, charged, released, refunded, settled"
    return f"INSERT INTO bsguard_hold ({columns}) VALUES ({values})"


# Account "a" has the holds "open" (100), "charged" (100, of which 70), "released" (100) and "refunded" (100, of which
# 100, of which 30); account "b" is empty.
REFUSED = {
    "a second reservation": entry("a", "reserve", "open", 100, -100, 100),
    "a second reservation of another amount": entry("a", "reserve", "open", 7, -7, 7),
    "a second charge": entry("a", "charge", "charged", 70, 30, -100, "'reserve', 100"),
    "a second charge of another amount": entry("a", "charge", "charged", 60, 40, -100, "'reserve', 100"),
    "a charge after a release": entry("a", "charge", "released", 70, 30, -100, "'reserve', 100"),
    "a release after a charge": entry("a", "release", "charged", 100, 100, -100, "'reserve', 100"),
    "a second release": entry("a", "release", "released", 100, 100, -100, "'reserve', 100"),
    "a second refund": entry("a", "refund", "refunded", 30, 30, 0, "'charge', 100"),
    "a second refund of another amount": entry("a", "refund", "refunded", 20, 20, 0, "'charge', 100"),
    "a second entry under a key": "INSERT INTO bsguard_entry (account, seq, type, amount, available_change,"
    " reserved_change, available, reserved, written_at, idempotency_key, parameters_sha256)"
    " VALUES ('a', 1000, 'topup', 5, 5, 0, 0, 0, 0, 'start', 'x')",
    "a refund after a release": entry("a", "refund", "released", 100, 100, 0, "'charge', 100"),
    "a refund of a release": entry("a", "refund", "released", 100, 100, 0, "'release', 100"),
    "a refund that settles nothing": entry("a", "refund", "charged", 70, 70, 0),
    "a refund of what is open": entry("a", "refund", "open", 100, 100, 0, "'charge', 100"),
    "a refund above the charge": entry("a", "refund", "charged", 71, 71, 0, "'charge', 71"),
    "a refund above the charge it names": entry("a", "refund", "charged", 71, 71, 0, "'charge', 70"),
    "a charge above the reservation": entry("a", "charge", "open", 101, -1, -100, "'reserve', 100"),
    "a charge that names another reservation": entry("a", "charge", "open", 150, 50, -200, "'reserve', 200"),
    "a charge that settles nothing": entry("a", "charge", "open", 100, 0, -100),
    "a charge of another account's hold": entry("b", "charge", "open", 100, 0, -100, "'reserve', 100"),
    "a release of another account's hold": entry("b", "release", "open", 100, 100, -100, "'reserve', 100"),
    "a refund to another account": entry("b", "refund", "charged", 70, 70, 0, "'charge', 70"),
    "a reservation of another account's generation": entry("b", "reserve", "open", 100, -100, 100),
    "a reservation without its record": entry("a", "reserve", "new", 10, -10, 10),
    "an entry of nobody": entry("nobody", "topup", None, 10, 10, 0),
    "an entry of an unknown type": entry("a", "gift", None, 10, 10, 0),
    "a topup that gives more than it says": entry("a", "topup", None, 10, 11, 0),
    "a negative topup": entry("a", "topup", None, -10, -10, 0),
    "a topup of nothing": entry("a", "topup", None, 0, 0, 0),
    "a topup for a generation": entry("a", "topup", "open", 10, 10, 0),
    "a reservation without a generation": entry("a", "reserve", None, 10, -10, 10),
    "an adjustment by nobody": entry("a", "adjust", None, 10, 10, 0),
    "an entry in the past of the ledger": entry("a", "topup", None, 10, 10, 0).replace("1000", "1", 1),
    "a changed entry": "UPDATE bsguard_entry SET reason = 'forged' WHERE account = 'a' AND seq = 1",
    "a deleted entry": "DELETE FROM bsguard_entry WHERE account = 'a' AND seq = 1",
    "a second hold for a generation": hold("'open', 'a', 5, 0, 0, 0, NULL"),
    "another account's hold for a generation": hold("'open', 'b', 5, 0, 0, 0, NULL"),
    "a hold of nobody": hold("'new', 'nobody', 5, 0, 0, 0, NULL"),
    "a hold of nothing": hold("'new', 'a', 0, 0, 0, 0, NULL"),
    "a hold with more settled than reserved": hold("'new', 'a', 5, 4, 2, 0, 'charged'"),
    "a hold that is half settled": hold("'new', 'a', 5, 1, 1, 0, 'charged'"),
    "a hold that is settled and open": hold("'new', 'a', 5, 5, 0, 0, NULL"),
    "a hold that is released and charged": hold("'new', 'a', 5, 5, 0, 0, 'released'"),
    "a hold moved to another account": "UPDATE bsguard_hold SET account = 'b' WHERE generation = 'open'",
    "a hold made larger": "UPDATE bsguard_hold SET reserved = 1000 WHERE generation = 'open'",
    "a refund noted on a release": "UPDATE bsguard_hold SET refunded = 100 WHERE generation = 'released'",
    "a refund noted above the charge": "UPDATE bsguard_hold SET refunded = 71 WHERE generation = 'charged'",
    "a charge noted above the reservation": "UPDATE bsguard_hold SET charged = 101 WHERE generation = 'charged'",
    "a balance below the floor": "UPDATE bsguard_account SET available = -1 WHERE account = 'b'",
    "a negative reserve": "UPDATE bsguard_account SET reserved = -1 WHERE account = 'b'",
    "a balance beyond 64 bits": "UPDATE bsguard_account SET available = 4611686018427387904 WHERE account = 'b'",
    "a floor above zero": "UPDATE bsguard_account SET floor = 1, available = 5 WHERE account = 'b'",
    "grants beyond the balance": "UPDATE bsguard_account SET granted = 1 WHERE account = 'b'",
    "a second account of a name": "INSERT INTO bsguard_account VALUES ('a', 0, 0, 0, 0, 0, 0)",
    "a grant of nobody": "INSERT INTO bsguard_grant VALUES ('nobody', 1, 5, 5, 1, NULL)",
    "a grant with more left than given": "UPDATE bsguard_grant SET remaining = 51 WHERE account = 'g'",
    "a burn of another account's grant": "INSERT INTO bsguard_burn VALUES ('open', 'a', 1, 0, 5)",
    "a burn by another account's hold": "INSERT INTO bsguard_burn VALUES ('open', 'g', 1, 0, 5)",
}


@pytest.fixture
def prepared(ledger: Ledger) -> Ledger:
    ledger.topup("a", 1000, key="start")
    ledger.open("b")
    ledger.grant("g", 50)
    for name in ("open", "charged", "released", "refunded"):
        ledger.reserve("a", 100, name)
    ledger.charge("charged", 70)
    ledger.release("released")
    ledger.charge("refunded", 100)
    ledger.refund("refunded", 30)
    return ledger


def test_the_table_is_whole() -> None:
    assert len(REFUSED) == 58


@pytest.mark.parametrize("name", REFUSED)
def test_it_cannot_be_written(engine: Engine, prepared: Ledger, name: str) -> None:
    before = snapshot(engine)

    with pytest.raises(IntegrityError), by_hand(engine) as connection:
        connection.execute(text(REFUSED[name]))

    assert snapshot(engine) == before


def test_an_entry_belongs_to_the_account_of_its_hold(engine: Engine, prepared: Ledger) -> None:
    """Also where no other row of the generation is in the way."""
    with by_hand(engine) as connection:
        connection.execute(text(hold("'new', 'a', 10, 0, 0, 0, NULL")))
        with pytest.raises(IntegrityError):
            connection.execute(text(entry("b", "reserve", "new", 10, -10, 10)))
        connection.rollback()


def test_the_indexes_of_the_ledger_have_their_names(engine: Engine, ledger: Ledger) -> None:
    """Where two of them refuse the same row, a missing one shows only here."""
    found = {
        str(one["name"]): (tuple(one["column_names"]), bool(one["unique"]))
        for one in inspect(engine).get_indexes("bsguard_entry")
    }

    for name in ("reserve", "charge", "refund", "settle"):
        assert found[f"bsguard_entry_{name}_once"] == (("generation",), True)
    assert found["bsguard_entry_key_once"] == (("account", "idempotency_key"), True)


FLOATS = {
    "an entry": entry("a", "topup", None, 10, 10, 0).replace("10, 10, 0", "10.5, 10.5, 0"),
    "a balance": "UPDATE bsguard_account SET available = 0.5 WHERE account = 'b'",
    "a hold": hold("'new', 'a', 5.5, 0, 0, 0, NULL"),
    "a grant": "INSERT INTO bsguard_grant VALUES ('a', 99, 5.5, 5.5, 1, NULL)",
}


@pytest.mark.parametrize("name", FLOATS)
def test_no_float_can_be_stored(engine: Engine, prepared: Ledger, name: str) -> None:
    """SQLite refuses the row; PostgreSQL rounds before it stores, or refuses, as its columns are integers."""
    refused = False
    with suppress(DBAPIError), by_hand(engine) as connection:
        refused = True
        connection.execute(text(FLOATS[name]))
        refused = False
        found = connection.execute(text("SELECT available, reserved FROM bsguard_account")).all()
        assert all(type(value) is int for row in found for value in row)
        connection.rollback()

    assert refused or engine.dialect.name == "postgresql"


def test_a_correct_row_can_be_written(engine: Engine, prepared: Ledger) -> None:
    """The refusals above are not refusals of everything: the same hand can write what is right."""
    with by_hand(engine) as connection:
        connection.execute(text(hold("'new', 'a', 10, 0, 0, 0, NULL")))
        connection.execute(text(entry("a", "reserve", "new", 10, -10, 10)))
        connection.execute(text(entry("a", "charge", "new", 4, 6, -10, "'reserve', 10").replace("1000", "1001", 1)))
        connection.execute(text(entry("a", "refund", "new", 4, 4, 0, "'charge', 4").replace("1000", "1002", 1)))
        connection.rollback()
