"""Every fault of every provider, on the control plane as it is served: one charge or one release, whatever happens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from sample_app.simulated.faults import Fault
from sample_app.simulated.process import all_running
from tests.sample_app.faults import PACE, ROUTES, World, case, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sample_app.simulated.process import Simulated

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Simulated]]:
    with all_running(PACE) as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, database_url: str, providers: dict[str, Simulated]) -> Iterator[World]:
    with serving(tmp_path, database_url, providers) as running:
        yield running


@pytest.mark.parametrize("route", ROUTES)
def test_every_fault_ends_as_it_must(world: World, route: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        started = dict(zip(Fault, pool.map(lambda fault: world.start("quiet", route, fault), Fault), strict=True))
        seen = dict(zip(Fault, pool.map(world.check, started.values()), strict=True))

    wrong = {}
    for fault, (status, paid) in seen.items():
        expected = case(fault, route)
        if status not in expected.finals or paid not in expected.paid:
            wrong[fault.value] = (status, paid)
    assert wrong == {}
    assert world.findings() == ()
    assert len(seen) == len(Fault)
