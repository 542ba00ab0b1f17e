"""Every fault of every provider, on the control plane as it is served: one charge or one release, whatever happens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from sample_app.crash_points import POINTS
from sample_app.simulated.faults import Fault
from sample_app.simulated.process import all_running
from tests.sample_app.faults import PACE, ROUTES, Case, World, after_a_crash, case, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sample_app.simulated.process import Simulated

#: Route, fault, the fault that there was, how it ended, how many jobs were paid.
Seen = tuple[str, Fault, Fault, str, int]

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Simulated]]:
    with all_running(PACE) as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, database_url: str, providers: dict[str, Simulated]) -> Iterator[World]:
    with serving(tmp_path, database_url, providers, TESTS_HEALTHY="yes") as running:
        yield running


@pytest.mark.long
@pytest.mark.parametrize("route", ROUTES)
def test_every_fault_ends_as_it_must(world: World, route: str) -> None:
    seen = run(world, "quiet", [(route, fault) for fault in Fault])

    assert wrong(seen, case) == {}
    assert world.findings() == ()
    assert len(seen) == len(Fault)


# What a fault changes about where a crash can come: most differ only in what the provider does afterwards.
TELLING = (
    Fault.NONE,
    Fault.FAILS,
    Fault.REFUSES,
    Fault.TIMES_OUT_AFTER_WORK,
    Fault.NO_ID,
    Fault.WEBHOOK_NEVER,
    Fault.WEBHOOK_TWICE,
    Fault.WEBHOOK_OVERTAKES,
    Fault.WRONG_CONTENT,
    Fault.OUTPUT_ERRORS,
)


def test_a_worker_killed_at_any_point_changes_nothing(world: World) -> None:
    """Each point with the faults that matter most, where a crash may change nothing at all."""
    crash_everywhere(world, TELLING, ("replicate",))


@pytest.mark.long
def test_every_fault_with_a_worker_killed_at_every_point(world: World) -> None:
    crash_everywhere(world, tuple(Fault), tuple(ROUTES))


def crash_everywhere(world: World, faults: tuple[Fault, ...], routes: tuple[str, ...]) -> None:
    missed, surprising = [], {}
    for point in POINTS:
        world.arm(point)
        if point.startswith("cancel."):
            cancel(world)
        elif point.startswith("end."):
            assert run(world, point, [("inline", Fault.REFUSES)])[0][3:] == ("failed", 0)
        else:
            seen = run(world, point, [(route, fault) for route in routes for fault in faults])
            surprising |= {f"{point} {name}": came for name, came in wrong(seen, after_a_crash).items()}
        if not world.hit(point):
            missed.append(point)
    assert surprising == {}
    assert missed == []
    assert world.findings() == ()
    assert len(POINTS) == 19


def cancel(world: World) -> None:
    """Cancel something that would never end; it is cancelled, and released once, whoever is killed on the way."""
    generation = world.start("cancelled", "replicate", Fault.STUCK)
    headers = {"Authorization": f"Bearer {world.keys[generation]}"}
    world.until("POST", f"/v1/generations/{generation}/cancel", headers, (200,))

    assert world.check(generation) == ("cancelled", 0)


def run(world: World, name: str, asked: list[tuple[str, Fault]]) -> list[Seen]:
    """Start all of these together and check each."""
    with ThreadPoolExecutor(12) as pool:
        started = list(pool.map(lambda one: world.start(name, *one), asked))
        ended = list(pool.map(world.check, started))
    applied = [world.applied(each, *one) for each, one in zip(started, asked, strict=True)]
    assert applied == [fault for _, fault in asked]
    return [(route, fault, was, *end) for (route, fault), was, end in zip(asked, applied, ended, strict=True)]


def wrong(seen: list[Seen], expected: Callable[[Fault, str], Case]) -> dict[str, tuple[str, int]]:
    """What did not end as it may."""
    found = {}
    for route, fault, was, status, paid in seen:
        may = expected(was, route)
        if status not in may.finals or paid not in may.paid:
            found[f"{route} {fault}"] = (status, paid)
    return found
