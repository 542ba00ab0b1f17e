"""``BSGuard(app)`` and ``init_app``: once for each application, each with its own settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from bsguard import BSGuard, ConfigError, identify
from bsguard.extension import guard_of
from bsguard.testing import FakeClock, capture_events
from tests.flask_ext.support import ENFORCE, MONITOR, close


def statuses(app: Flask) -> tuple[int, int]:
    """The statuses of a plain request and of one that enforcing refuses."""
    client = app.test_client()
    return client.get("/").status_code, client.get("/", headers={"Expect": "tea"}).status_code


def test_one_line_guards_an_app(make_app: Any) -> None:
    app = make_app(**ENFORCE)
    BSGuard(app)

    assert statuses(app) == (200, 417)


def test_it_monitors_until_it_is_told_to_enforce(make_app: Any) -> None:
    app = make_app(**MONITOR)
    BSGuard(app)

    with capture_events() as events:
        assert statuses(app) == (200, 200)
    assert [event.rule for event in events if event.name == "request.would_be_denied"] == ["protocol.expect"]


def test_a_factory_makes_guarded_apps(tmp_path: Path) -> None:
    guard = BSGuard()

    def create_app(**config: Any) -> Flask:
        app = Flask("shop", instance_path=str(tmp_path))
        app.config.update(ENFORCE, **config)
        app.add_url_rule("/", view_func=lambda: "hello")
        guard.init_app(app)
        return app

    first, second = create_app(), create_app(BSGUARD_MODE="monitor")

    assert statuses(first) == (200, 417)
    assert statuses(second) == (200, 200)
    assert statuses(first) == (200, 417)
    for app in (first, second):
        close(app)


def test_two_apps_in_one_process_have_settings_of_their_own(make_app: Any) -> None:
    seen: dict[str, list[Any]] = {"one": [], "two": []}
    one = make_app(**ENFORCE, BSGUARD_STRIP_HEADERS=[], BSGUARD_REQUEST_ID_HEADER="X-One")
    two = make_app(**MONITOR, BSGUARD_REGION="eu")
    BSGuard(one, emit=seen["one"].append)
    BSGuard(two, emit=seen["two"].append)
    account = {"X-Account-Id": "mine"}

    for _ in range(2):
        assert (statuses(one), statuses(two)) == ((200, 417), (200, 200))
        assert one.test_client().get("/account", headers=account).text == "mine"
        assert two.test_client().get("/account", headers=account).text == "none"
    assert "X-One" in one.test_client().get("/").headers
    assert "X-Request-Id" in two.test_client().get("/").headers
    assert {event.region for event in seen["one"] if hasattr(event, "region")} == {""}
    assert {event.region for event in seen["two"] if hasattr(event, "region")} == {"eu"}
    assert guard_of(one) is not guard_of(two)


def test_a_second_init_is_an_error_and_does_no_harm(make_app: Any) -> None:
    app = make_app(**ENFORCE)
    guard = BSGuard(app)
    for again in (lambda: BSGuard(app), lambda: guard.init_app(app), lambda: BSGuard().init_app(app)):
        with pytest.raises(ConfigError) as caught:
            again()
        assert [problem.id for problem in caught.value.problems] == ["bsguard.E004"]
        assert "once" in str(caught.value)

    assert statuses(app) == (200, 417)


def test_wrong_settings_leave_the_app_as_it_was(make_app: Any) -> None:
    app = make_app(BSGUARD_MOD="enforce", BSGUARD_PROTOCOL_METHODS=["get"], BSGUARD_LAYERS=["wall"])
    before = app.wsgi_app
    with pytest.raises(ConfigError) as caught:
        BSGuard(app)

    assert [problem.key for problem in caught.value.problems] == [
        "BSGUARD_MOD",
        "BSGUARD_PROTOCOL_METHODS",
        "BSGUARD_LAYERS",
    ]
    assert "did you mean BSGUARD_MODE?" in str(caught.value)
    assert app.wsgi_app == before
    assert "bsguard" not in app.extensions

    for key in ("BSGUARD_MOD", "BSGUARD_PROTOCOL_METHODS", "BSGUARD_LAYERS"):
        del app.config[key]
    BSGuard(app)
    assert app.test_client().get("/").status_code == 200


def test_a_wrong_value_is_never_shown(make_app: Any) -> None:
    app = make_app(BSGUARD_SECRET_KEYS=["hunter2"])
    with pytest.raises(ConfigError) as caught:
        BSGuard(app)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("off", [False, "false", "0"])
def test_a_guard_that_is_not_enabled_leaves_the_app_as_it_is(make_app: Any, off: Any) -> None:
    app = make_app(**ENFORCE, BSGUARD_ENABLED=off)
    BSGuard(app)
    client = app.test_client()
    answer = client.get("/account", headers={"Expect": "tea", "X-Account-Id": "mine"})

    assert (answer.status_code, answer.text) == (200, "mine")
    assert "X-Request-Id" not in answer.headers
    assert client.get("/who").status_code == 200
    assert not Path(app.instance_path).exists()


def test_the_state_lies_in_the_instance_folder(make_app: Any, tmp_path: Path) -> None:
    app = make_app()
    BSGuard(app)
    app.test_client().get("/", headers={"Expect": "tea"})
    guard_of(app).store.flush()  # type: ignore[union-attr]
    folder = tmp_path / "instance0" / "bsguard"

    assert (folder / "events.sqlite").exists()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_state_lies_where_it_is_told_to(make_app: Any, tmp_path: Path) -> None:
    app = make_app(BSGUARD_STATE_DIR=str(tmp_path / "elsewhere"))
    BSGuard(app)

    assert (tmp_path / "elsewhere").is_dir()
    assert not (tmp_path / "instance0").exists()


def test_none_means_the_instance_folder_too(make_app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app(BSGUARD_STATE_DIR=None)
    BSGuard(app)

    assert (tmp_path / "instance0" / "bsguard").is_dir()
    assert not (tmp_path / ".bsguard").exists()


def test_a_state_folder_that_cannot_be_made_is_said_and_costs_no_request(make_app: Any, tmp_path: Path) -> None:
    (tmp_path / "instance0").write_text("a file")
    app = make_app(BSGUARD_MODE="enforce")
    with capture_events() as events:
        BSGuard(app)
        assert statuses(app) == (200, 417)

    assert [event.part for event in events if event.name == "state.degraded"] == ["state_dir"]


def test_the_clock_and_a_sink_can_be_handed_in(make_app: Any) -> None:
    seen: list[Any] = []
    app = make_app(**ENFORCE)
    BSGuard(app, clock=FakeClock(1000.0), emit=seen.append)
    app.test_client().get("/")

    assert {event.time for event in seen} == {1000.0}


def test_the_guard_of_an_unguarded_app_is_an_error(make_app: Any) -> None:
    with pytest.raises(ConfigError, match="not guarded"):
        guard_of(make_app())


def test_apps_that_are_gone_leave_no_thread_behind(make_app: Any) -> None:
    import threading

    def writers() -> int:
        return sum(thread.name == "bsguard-events" for thread in threading.enumerate())

    before = writers()
    for _ in range(5):
        app = make_app()
        BSGuard(app)
        app.test_client().get("/", headers={"Expect": "tea"})
        close(app)

    assert writers() <= before


def test_identify_outside_of_a_request_does_nothing(make_app: Any) -> None:
    app = make_app(**ENFORCE)
    BSGuard(app)
    with app.test_request_context("/"):
        identify("acct-1")
    with app.app_context():
        identify("acct-1")

    with capture_events() as events:
        app.test_client().get("/").close()
    assert [event.account for event in events if event.name == "request.finished"] == [""]
