"""Events: one dataclass a fact, printable, and handed to whoever wants them."""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core import events
from bsguard.core.events import EVENTS, Event, FanOut, as_mapping, log_event, printable, wanted
from bsguard.testing import capture_events, environ, run
from tests.unit.support import App, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.standard import Guard

CANARY = "c4nary7"


def degraded(**more: Any) -> events.StateDegraded:
    return events.StateDegraded(**{"time": 1.5, "part": "events", "lost": "all", "reason": "why", **more})


def test_every_kind_is_frozen_named_once_and_described() -> None:
    assert len(EVENTS) == 22
    assert len({kind.name for kind in EVENTS}) == 22
    for kind in EVENTS:
        assert issubclass(kind, Event)
        assert kind.__doc__
        assert kind.name != Event.name
        assert dataclasses.fields(kind)[0].name == "time"
        with pytest.raises(AttributeError, match=r"cannot assign|no attribute"):
            degraded().time = 2.0  # type: ignore[misc]


def test_an_event_is_a_flat_mapping_that_json_can_hold() -> None:
    found = as_mapping(degraded())

    assert found == {"event": "state.degraded", "time": 1.5, "part": "events", "lost": "all", "reason": "why"}
    assert json.loads(json.dumps(found)) == found


PRINTED: dict[str, tuple[str, str]] = {
    "plain": ("/v1/a b", "/v1/a b"),
    "characters of other scripts": ("/café/🪸", "/café/🪸"),
    "a line end": ("/a\r\nb", "/a\\r\\nb"),
    "a terminal's escape": ("/\x1b[2J", "/\\x1b[2J"),
    "a NUL": ("/\0", "/\\x00"),
    "a line separator": ("/\u2028", "/\\u2028"),
    "an override of direction": ("/\u202e", "/\\u202e"),
    "a lone surrogate": ("/\udc80", "/\\udc80"),
    "a character of no plane": ("/\U000e0001", "/\\U000e0001"),
    "a long text": ("a" * 201, "a" * 200),
    "a long text that is cut before it is escaped": ("\n" * 201, "\\n" * 200),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("text", "shown"), table(12, PRINTED))
def test_text_of_clients_cannot_forge_lines(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()


def test_the_log_line_has_the_facts_and_the_event_itself(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "bsguard.events"):
        log_event(degraded(lost=""))

    (record,) = caplog.records
    assert record.getMessage() == "state.degraded part='events' reason='why'"
    assert record.levelno == logging.WARNING
    assert record.bsguard == degraded(lost="")  # type: ignore[attr-defined]


def test_a_line_cannot_be_forged_by_a_fact(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "bsguard.events"):
        log_event(degraded(reason="a\nrequest.denied path='/'"))

    assert "\n" not in caplog.records[0].getMessage()


def test_the_logger_s_level_says_which_events_are_wanted() -> None:
    logger = logging.getLogger("bsguard.events")
    before = logger.level
    try:
        logger.setLevel(logging.INFO)
        assert log_event.wants(events.RequestDenied)
        assert not log_event.wants(events.RequestFinished)
        logger.setLevel(logging.DEBUG)
        assert log_event.wants(events.RequestFinished)
        logger.setLevel(logging.CRITICAL)
        assert not log_event.wants(events.LayerFailed)
    finally:
        logger.setLevel(before)


def test_one_sink_that_raises_does_not_rob_the_others() -> None:
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("sink")

    with pytest.raises(RuntimeError, match="sink"):
        FanOut([seen.append, broken, seen.append])(degraded())

    assert seen == [degraded(), degraded()]


def test_a_plain_callable_wants_everything_and_a_fan_out_what_any_of_its_sinks_wants() -> None:
    class Picky(list[Event]):
        def wants(self, kind: type[Event]) -> bool:
            return kind is events.LayerFailed

        __call__ = list.append

    assert wanted([].append, events.RequestFinished)
    assert not wanted(Picky(), events.RequestFinished)
    assert FanOut([Picky(), [].append]).wants(events.RequestFinished)
    assert not FanOut([Picky()]).wants(events.RequestFinished)
    assert FanOut([Picky()]).wants(events.LayerFailed)
    assert not FanOut([]).wants(events.LayerFailed)


def test_no_event_holds_a_credential_a_query_a_body_or_the_text_of_a_header(make_guard: Callable[..., Guard]) -> None:
    seen: list[Event] = []
    headers = {
        "Authorization": f"Bearer {CANARY}, {CANARY}",
        "Cookie": CANARY,
        "X-Account-Id": CANARY,
        "X-Other": f"{CANARY}\x01",
        "Expect": CANARY,
        "Upgrade": CANARY,
        "Content-Type": f"{CANARY}/;",
        "Content-Encoding": CANARY,
        "Host": f"{CANARY}!",
        "Accept": CANARY,
    }
    body = f'{{"{CANARY}": 1, "{CANARY}": 2}}'.encode()
    app = App()
    made = make_guard(app, {"MODE": "monitor"}, emit=seen.append)
    run(made, environ("POST", f"/?q={CANARY}%zz#", headers=headers, body=body))
    run(made, environ("POST", "/", headers={"Content-Type": "application/json"}, body=body))

    assert app.called == 2
    assert len({event.rule for event in seen if hasattr(event, "rule")}) == 11
    assert [event for event in seen if CANARY in repr(event)] == []


def test_identities_are_told_apart_without_being_kept(make_guard: Callable[..., Guard]) -> None:
    def identities(**config: Any) -> list[str]:
        seen: list[Any] = []
        made = make_guard(App(), {"SECRET_KEYS": ["x" * 16, "old" * 10], **config}, emit=seen.append)
        for credential in ("Bearer a", "Bearer b", "Bearer a", ""):
            run(made, environ(headers={"Authorization": credential} if credential else {}))
        return [event.identity for event in seen if event.name == "request.finished"]

    first, other, again, nobody = identities()
    assert first == again != other
    assert nobody == ""
    assert len(first) == 16
    assert identities()[0] == first
    assert identities(SECRET_KEYS=["y" * 16])[0] != first
    assert identities(SECRET_KEYS=["x" * 16])[0] == first


def test_the_server_and_an_undeclared_proxy_are_said_once(make_guard: Callable[..., Guard]) -> None:
    seen: list[Any] = []
    made = make_guard(App(), emit=seen.append)
    for _ in range(3):
        run(made, environ(SERVER_SOFTWARE="waitress/3.0"))
        run(made, environ(peer="10.0.0.9", headers={"X-Forwarded-For": "192.0.2.1"}))
    (server,) = [event for event in seen if event.name == "server.recognised"]
    (proxy,) = [event for event in seen if event.name == "proxy.undeclared"]

    assert (server.server, server.version) == ("waitress", "3.0")
    assert server.blind_spots
    assert proxy.peer == "10.0.0.9"
    assert "BSGUARD_TRUSTED_PROXIES" in proxy.remedy


def test_a_sink_that_raises_changes_no_answer_and_is_said_once(
    make_guard: Callable[..., Guard], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError(CANARY)

    made = make_guard(App(), emit=broken)
    statuses = [run(made, environ(method)).status for method in ("GET", "TRACE", "GET")]

    assert statuses == [200, 405, 200]
    assert [record.getMessage() for record in caplog.records] == [
        "an event sink raised; its events are lost, and this is said once"
    ]


def test_a_finished_request_has_its_facts(make_guard: Callable[..., Guard]) -> None:
    seen: list[Any] = []
    config = {"REGION": "eu", "SURFACES": [{"name": "site", "hosts": ["www.test"]}], "TRUSTED_PROXIES": "10.0.0.0/8"}
    made = make_guard(App(), config, emit=seen.append)
    headers = {"Host": "www.test", "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    answer = run(made, environ("GET", "/caf%C3%A9?q=1", peer="10.0.0.9", headers=headers))
    finished = seen[-1]

    assert finished.name == "request.finished"
    assert finished.request_id == answer.header("X-Request-Id")
    assert (finished.method, finished.path, finished.status) == ("GET", "/café", 200)
    assert (finished.client, finished.surface, finished.region) == ("192.0.2.1", "site", "eu")
    assert (finished.identity, finished.account, finished.refused_by) == ("", "", "")
    assert 0 <= finished.cost_us <= finished.total_us
    assert finished.time == 1_700_000_000.0
    run(made, environ("TRACE", peer="10.0.0.9", headers=headers))
    assert (seen[-1].status, seen[-1].refused_by) == (405, "protocol")


def test_captured_events_are_all_events_and_capturing_ends(make_guard: Callable[..., Guard]) -> None:
    made = make_guard(App(), {"EVENTS_LOGGED": True})
    with capture_events() as seen:
        run(made, environ("TRACE"))
    run(made, environ("TRACE"))

    assert [event.name for event in seen] == ["server.recognised", "request.denied", "request.finished"]


def test_capturing_leaves_the_logger_as_it_was() -> None:
    logger = logging.getLogger("bsguard.events")
    before = (logger.level, list(logger.handlers))
    with capture_events():
        assert logger.level == logging.DEBUG
    with pytest.raises(ZeroDivisionError), capture_events():
        _ = 1 / 0

    assert (logger.level, logger.handlers) == before
