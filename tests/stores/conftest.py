"""One Redis server for the whole run, emptied for each test; each test of behaviour runs on every kind of store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stores.support import KINDS, RedisServer, open_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.stores.port import Store


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def in_memory() -> Iterator[Path]:
    """A folder in memory where there is one, so that tables of fixed size fill no disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="bsg", dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def folder(in_memory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=in_memory) as made:
        yield Path(made)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def place(kind: str, request: pytest.FixtureRequest) -> str:
    """Where the store of this test is: a folder, or the address of a server with nothing on it."""
    if kind != "redis":
        return str(request.getfixturevalue("folder"))
    url: str = request.getfixturevalue("redis_server").url
    emptied = open_kind("redis", url)
    emptied.reset()
    emptied.close()
    return url


@pytest.fixture
def store(kind: str, place: str) -> Iterator[Store]:
    """A store whose time is the caller's."""
    made = open_kind(kind, place, **({"caller_time": True} if kind == "redis" else {}))
    yield made
    made.close()
