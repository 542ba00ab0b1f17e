"""``bsguard sessions``: what operators see and say, on every store that another process can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from bsguard import guard
from bsguard.cli import main
from bsguard.testing import FakeClock, environ, run
from tests.session.support import DAY, HOME, START, Service
from tests.stores.support import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

KINDS = ("local", "sqlite", "redis")


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    made = RedisServer()
    yield made
    made.stop()


@pytest.fixture(params=KINDS)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, object]:
    store = request.param
    if store == "redis":
        store = request.getfixturevalue("server").url.replace("unix://", "redis+unix://")
        store = f"redis://127.0.0.1:{request.getfixturevalue('server').port}"
    return {
        "LAYERS": ["session"],
        "MODE": "enforce",
        "STORE": store,
        "STORE_PREFIX": f"t{abs(hash(str(tmp_path))) % 10**9}",
        "STATE_DIR": str(tmp_path / "state"),
        "SECRET_KEYS": ["k" * 32],
        "SESSION_SCORE_MIN": 50,
    }


def command(config: dict[str, object], tmp_path: Path, *words: str) -> Result:
    path = tmp_path / "bsguard.json"
    path.write_text(json.dumps(config))
    return CliRunner().invoke(main, ["--config", str(path), "sessions", *words])


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


class Customers:
    """Some customers who estimate before they generate."""

    def __init__(self, config: dict[str, object]) -> None:
        self.clock = FakeClock(START)
        self.app = guard(Service(), config, clock=self.clock, emit=lambda _: None)

    def ask(self, method: str, path: str, key: str) -> int:
        self.clock.advance(20)
        headers = {"Authorization": f"Bearer good {key}"}
        return run(self.app, environ(method, path, headers=headers, peer=HOME)).status

    def live(self, days: int, keys: int = 3) -> None:
        for _ in range(days):
            for number in range(8 * keys):
                for method, path in (
                    ("POST", "/v1/estimate"),
                    ("POST", "/v1/generate/sdxl"),
                    ("GET", f"/v1/files/{number}"),
                ):
                    self.ask(method, path, str(number % keys))
                self.clock.advance(1_200)
            self.clock.advance(DAY - self.clock.now() % DAY + 60)
        for key in range(keys):
            self.ask("GET", "/v1/models", str(key))
        self.app.app.flush()  # type: ignore[attr-defined]
        self.app.counters.close()  # type: ignore[union-attr]


def test_the_view_per_customer(config: dict[str, object], tmp_path: Path) -> None:
    customers = Customers(config)
    customers.live(4)
    listed = lines(command(config, tmp_path, "list", "--json"))
    assert len(listed) == 3
    assert {"session", "seen", "requests", "usual_requests", "score", "signals", "days"} <= set(listed[0])
    session = listed[0]["session"]
    (shown,) = lines(command(config, tmp_path, "show", session, "--json"))
    assert shown["days"] == 4
    assert {one["route"] for one in shown["routes"]} >= {"POST /v1/estimate", "GET /v1/models"}
    assert command(config, tmp_path, "show", session).output.count("\n") > 15
    assert session in command(config, tmp_path, "list").output
    assert lines(command(config, tmp_path, "forget", session, "--json")) == [{"session": session, "forgotten": True}]
    assert command(config, tmp_path, "forget", session).exit_code == 1
    assert command(config, tmp_path, "show", session).exit_code == 1
    assert len(lines(command(config, tmp_path, "list", "--json"))) == 2


def test_a_rule_is_proposed_confirmed_and_deleted(config: dict[str, object], tmp_path: Path) -> None:
    customers = Customers(config)
    customers.live(4)
    proposed = {one["name"]: one for one in lines(command(config, tmp_path, "sequences", "propose", "--json"))}
    rule = proposed["post-v1-generate-sdxl"]
    assert (rule["after"], rule["precedence"], rule["occurrences"] >= 50) == (["POST /v1/estimate"], 1.0, True)
    assert customers.ask("POST", "/v1/generate/sdxl", "new") == 200
    words = ("sequences", "confirm", "post-v1-generate-sdxl", "--block", "--within", "300", "--comment", "so it is")
    (confirmed,) = lines(command(config, tmp_path, *words, "--json"))
    assert (confirmed["action"], confirmed["within_seconds"]) == ("block", 300)
    assert customers.ask("POST", "/v1/generate/sdxl", "other") == 403
    assert customers.ask("POST", "/v1/estimate", "other") == 200
    assert customers.ask("POST", "/v1/generate/sdxl", "other") == 200
    assert command(config, tmp_path, *words).exit_code == 1
    assert "so it is" in command(config, tmp_path, "sequences", "list").output
    assert command(config, tmp_path, "sequences", "propose").output.count("generate-sdxl:") == 0
    assert lines(command(config, tmp_path, "sequences", "delete", str(confirmed["id"]), "--json")) == [
        {"deleted": True}
    ]
    assert command(config, tmp_path, "sequences", "delete", str(confirmed["id"])).exit_code == 1
    assert customers.ask("POST", "/v1/generate/sdxl", "third") == 200


def test_thresholds_by_route(config: dict[str, object], tmp_path: Path) -> None:
    Customers(config).live(20)
    found = {one["route"]: one for one in lines(command(config, tmp_path, "thresholds", "--json"))}
    estimate = found["POST /v1/estimate"]
    assert (estimate["p50"], estimate["days"] >= 50, estimate["recommended"]) == (1, True, 2)
    assert "recommended 2 per 10 minutes" in command(config, tmp_path, "thresholds").output


@pytest.mark.parametrize(
    "wrong", [("show", "nobody"), ("forget", "0" * 15), ("sequences", "confirm", "x", "--comment", " ")]
)
def test_what_is_no_session_is_said_so(config: dict[str, object], tmp_path: Path, wrong: tuple[str, ...]) -> None:
    result = command(config, tmp_path, *wrong)
    assert result.exit_code != 0
    assert "wanted" in result.output


@pytest.mark.parametrize(
    ("more", "said"), [({"STORE": "memory"}, "no other process can read"), ({"LAYERS": ["tenant"]}, "not in use")]
)
def test_where_there_is_nothing_to_see(
    config: dict[str, object], tmp_path: Path, more: dict[str, object], said: str
) -> None:
    result = command(config | more, tmp_path, "list")
    assert result.exit_code == 1
    assert said in result.output
