"""Real servers for the tests of this folder, each started once a session, when first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

# Before anything imports them, so that their assertions show values as those of tests do.
pytest.register_assert_rewrite("tests.servers.judge", "tests.servers.refusal")

from tests.servers.process import Pool, Server, traces  # noqa: E402
from tests.servers.profiles import WORKERS  # noqa: E402

StartServer = Callable[[str], Server]


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    servers = Pool(tmp_path_factory.mktemp("servers"))
    yield servers
    unread = servers.stop()
    assert [traces(log) for log in unread] == [[] for _ in unread]


@pytest.fixture(params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def start(pool: Pool, worker: str) -> StartServer:
    """Gives the server of a profile, for the worker class of this test."""

    def get(profile: str) -> Server:
        server = pool.get(profile, worker)
        if server.unread:  # an earlier test failed before it asked
            server.told()

        return server

    return get
