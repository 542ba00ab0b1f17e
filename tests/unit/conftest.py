"""No settings from outside, no files in the working directory, and no store left open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import guard
from bsguard.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bsguard.standard import Guard


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    for name in [name for name in os.environ if name.startswith("BSGUARD_")]:
        del os.environ[name]


@pytest.fixture
def own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working directory of one's own, for what looks for files there."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def make_guard(state: Path, clock: FakeClock) -> Iterator[Callable[..., Guard]]:
    """Guards with a state directory of their own, closed when the test is over."""
    made: list[Guard] = []

    def make(app: Any, config: dict[str, Any] | None = None, **more: Any) -> Guard:
        values = {"STATE_DIR": state, "MODE": "enforce", "EVENTS_LOGGED": False, **(config or {})}
        made.append(guard(app, values, clock=clock, **more))
        return made[-1]

    yield make
    for one in made:
        if one.store is not None:
            one.store.close()
        close = getattr(one.overrides, "close", None)
        if close is not None:
            close()
