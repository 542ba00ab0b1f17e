"""The limiter in a Flask application: Flask-Limiter's settings, and the two side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from bsguard import BSGuard, ConfigError
from bsguard.extension import guard_of
from tests.limiter.support import PEER, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    made: list[Flask] = []

    def make(**config: Any) -> Flask:
        app = Flask("site", instance_path=str(tmp_path / "instance"))
        app.config |= {
            "BSGUARD_MODE": "enforce",
            "BSGUARD_EVENTS_STORED": False,
            "BSGUARD_PROTOCOL_HTTPS": False,
        } | config
        app.add_url_rule("/", view_func=lambda: "hello")
        BSGuard(app)
        made.append(app)
        return app

    yield make
    for app in made:
        guard = guard_of(app)
        guard.overrides.close()  # type: ignore[attr-defined]
        if guard.counters is not None:
            guard.counters.close()


def statuses(app: Flask, times: int) -> list[int]:
    client = app.test_client()
    return [client.get("/", environ_base={"REMOTE_ADDR": PEER}).status_code for _ in range(times)]


TAKEN_OVER: dict[str, tuple[dict[str, object], str]] = {
    "nothing": ({}, "local"),
    "memory is not": ({"RATELIMIT_STORAGE_URI": "memory://"}, "local"),
    "memcached is not": ({"RATELIMIT_STORAGE_URI": "memcached://127.0.0.1:1"}, "local"),
    "our own for it": ({"RATELIMIT_STORAGE_URI": "bsguard+local://"}, "local"),
    "our own with a folder for it": ({"RATELIMIT_STORAGE_URI": "bsguard+sqlite:///{folder}/x"}, "sqlite"),
    "a server": ({"RATELIMIT_STORAGE_URI": "redis://127.0.0.1:1/0"}, "local"),  # which stands in for it
    "ours wins": ({"RATELIMIT_STORAGE_URI": "redis://127.0.0.1:1/0", "BSGUARD_STORE": "memory"}, "memory"),
}


@pytest.mark.parametrize(("config", "name"), table(7, TAKEN_OVER))
def test_the_storage_of_flask_limiter_is_taken_over_where_it_is_exact(
    site: Callable[..., Flask], tmp_path: Path, config: dict[str, Any], name: str
) -> None:
    (tmp_path / "x").mkdir(mode=0o700)  # as Flask-Limiter makes it
    app = site(**{key: value.format(folder=tmp_path) for key, value in config.items()})
    counters = guard_of(app).counters

    assert counters is not None
    assert counters.name == name
    if "redis" in str(config) and name == "local":
        assert counters.primary.name == "redis"  # type: ignore[attr-defined]
    assert statuses(app, 2) == [200, 200]


def test_an_address_that_only_flask_limiter_understands_is_told_by_its_own_name(site: Callable[..., Flask]) -> None:
    with pytest.raises(ConfigError) as caught:
        site(RATELIMIT_STORAGE_URI="redis://:c4nary@127.0.0.1:1/0?socket_timeout=1")

    (problem,) = caught.value.problems
    assert problem.key == "RATELIMIT_STORAGE_URI"
    assert "BSGUARD_STORE" in problem.message
    assert "c4nary" not in str(caught.value)


def test_who_switches_flask_limiter_off_switches_this_off(site: Callable[..., Flask]) -> None:
    limit = {"BSGUARD_LIMITER_GLOBAL_RATE": "2/hour"}

    assert statuses(site(**limit), 3) == [200, 200, 429]
    assert statuses(site(**limit, RATELIMIT_ENABLED=False), 3) == [200] * 3


def test_both_in_one_application_count_for_themselves(site: Callable[..., Flask], tmp_path: Path) -> None:
    from flask_limiter import Limiter
    from flask_limiter.util import get_remote_address

    import bsguard.stores.limits_storage  # noqa: F401  makes the storage known

    uri = f"bsguard+local:///{tmp_path / 'folder'}"
    app = site(RATELIMIT_STORAGE_URI=uri, BSGUARD_LIMITER_GLOBAL_RATE="5/hour", RATELIMIT_HEADERS_ENABLED=True)
    Limiter(get_remote_address, app=app, default_limits=["3/hour"])
    answers = [app.test_client().get("/", environ_base={"REMOTE_ADDR": PEER}) for _ in range(7)]

    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 4
    assert ["BSE1301" in answer.text for answer in answers] == [False] * 5 + [True] * 2
    assert all(len(answer.headers.getlist("Retry-After")) <= 1 for answer in answers)
