"""A store that fails costs no request its answer: another takes its place, and the operator is told."""

from __future__ import annotations

from typing import Any

import pytest

from bsguard.core.errors import StateUnusable
from bsguard.stores.failover import Failover
from bsguard.stores.memory import MemoryStore
from tests.limiter.support import Bench, CountingStore, Doors, table


class Broken(CountingStore):
    """A store of this machine that does not answer while it is *down*."""

    name = "broken"
    reach = "machine"

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.down = True
        self.error = error or StateUnusable("the disk is full")

    def take(self, *arguments: Any) -> Any:
        if self.down:
            raise self.error
        return super().take(*arguments)

    def settle(self, *arguments: Any) -> Any:
        if self.down:
            raise self.error
        return super().settle(*arguments)


def backed(broken: Broken, events: list[Any]) -> Failover:
    return Failover(broken, MemoryStore(), events.append)


def test_limits_hold_in_the_store_behind_it() -> None:
    events: list[Any] = []
    bench = Bench({"GLOBAL_RATE": "5/hour"}, store=backed(Broken(), events), events=events)

    assert bench.statuses(8) == [200] * 5 + [429] * 3
    (said,) = bench.named("state.degraded")
    assert (said.part, said.reason) == ("store", "the disk is full")
    assert bench.named("layer.failed") == []


def test_bans_hold_in_the_store_behind_it() -> None:
    events: list[Any] = []
    bench = Bench({}, app=Doors(), store=backed(Broken(), events), events=events)

    assert bench.guess(7) == [401] * 5 + [429] * 2


def test_a_store_that_fails_between_request_and_answer_costs_nothing() -> None:
    events: list[Any] = []
    broken = Broken()
    broken.down = False

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        broken.down = True
        start_response("401 Unauthorized", [])
        return [b"no"]

    bench = Bench({}, app=app, store=backed(broken, events), events=events)
    assert bench.ask(key="Bearer wrong").status == 401
    assert bench.named("layer.failed") == []


ERRORS: dict[str, Exception] = {
    "unusable": StateUnusable("gone"),
    "of the system": OSError(28, "no room"),
    "a bug": ZeroDivisionError("oh"),
}


@pytest.mark.parametrize("error", table(3, ERRORS))
@pytest.mark.parametrize(("policy", "status"), [("open", 200), ("closed", 503)])
def test_without_another_store_the_layers_policy_decides(error: Exception, policy: str, status: int) -> None:
    bench = Bench({"ON_FAILURE": policy}, store=Broken(error))

    assert bench.statuses(3) == [status] * 3
    assert len(bench.named("layer.failed")) == 3
    assert bench.ask("/public", key="Bearer x").status == status


def test_the_default_lets_requests_pass() -> None:
    assert Bench({}, store=Broken()).statuses(3) == [200] * 3


def test_a_manual_ban_holds_without_any_store(tmp_path: Any) -> None:
    from bsguard.core.overrides import Override
    from bsguard.stores.overrides import SQLiteOverrides
    from bsguard.testing import FakeClock
    from tests.limiter.support import PEER

    clock = FakeClock()
    overrides = SQLiteOverrides(tmp_path / "o.sqlite", clock)
    value: dict[str, object] = {"subject": f"client {PEER}"}
    overrides.add(Override(kind="ban", value=value, author="ann", comment="why", created=clock.now()))
    bench = Bench({}, store=Broken(), overrides=overrides, clock=clock)

    assert bench.statuses(2) == [403, 403]
    overrides.close()


def test_several_workers_that_each_count_alone_are_told_once() -> None:
    bench = Bench({})
    bench.statuses(3, **{"wsgi.multiprocess": True})

    (said,) = bench.named("state.degraded")
    assert 'BSGUARD_STORE to "local"' in said.reason
