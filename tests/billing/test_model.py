"""Long random lives of three accounts, compared with plain arithmetic after every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from bsguard.billing import Ledger
from bsguard.billing.testing import assert_invariants, ledger_machine
from bsguard.testing import FakeClock

if TYPE_CHECKING:
    from sqlalchemy import Engine

# What an example costs is mostly the database; the examples are the same in every run.
CALM = settings(
    deadline=None,
    derandomize=True,
    database=None,
    stateful_step_count=100,
    suppress_health_check=list(HealthCheck),
)


class Steps:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.count = 0

    def make(self) -> tuple[Ledger, FakeClock]:
        clock = FakeClock()
        return Ledger(self.engine, clock=clock), clock

    def step(self) -> None:
        self.count += 1


def run(engine: Engine, examples: int) -> int:
    steps = Steps(engine)
    machine = ledger_machine(steps.make, after_step=steps.step)
    run_state_machine_as_test(machine, settings=settings(CALM, max_examples=examples))  # type: ignore[no-untyped-call]
    assert_invariants(Ledger(engine))
    return steps.count


def test_the_ledger_does_what_the_model_does(engine: Engine) -> None:
    assert run(engine, examples=8) >= 300


@pytest.mark.slow
def test_the_ledger_does_what_the_model_does_for_ten_thousand_steps(engine: Engine) -> None:
    assert run(engine, examples=114) >= 10_000
