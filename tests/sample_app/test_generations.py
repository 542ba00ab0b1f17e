"""Reading generations: every page, every filter, the event stream, and nobody else's."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app import generations
from sample_app.catalogue import MediaKind
from sample_app.errors import ApiError, ErrorCode
from sample_app.generations import Generation, Position, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sample_app.support import Service

START = 1_776_600_000_000


def generation(number: int, account: str = "acme", **changes: Any) -> Generation:
    made = Generation(
        generation_id=f"gen_{number:032x}",
        account_id=account,
        kind=MediaKind.IMAGE,
        model="reef-1",
        status=Status.SUCCEEDED,
        version=4,
        request={"generation_prompt": "A lighthouse", "generation_ratio": "1:1"},
        credits=3,
        provider="fal",
        outputs=(f"file_{number:032x}",),
        failure=None,
        created_at=START + number,
        updated_at=START + number + 1,
    )
    return replace(made, **changes)


def add(service: Service, *made: Generation) -> None:
    with service.parts.database.writing() as connection:
        for each in made:
            assert generations.add(connection, each, due_at=None)


def walk(
    service: Service, headers: dict[str, str], limit: int, between: Callable[[], None] = lambda: None
) -> list[str]:
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        query = f"?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        data = service.call("GET", f"/v1/generations{query}", headers=headers).get_json()["data"]
        assert len(data["generations"]) <= limit
        seen += [each["generation_id"] for each in data["generations"]]
        cursor = data["next_cursor"]
        if cursor is None:
            return seen
        between()
    raise AssertionError("the walk does not end")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 23, 24, 100])
def test_pages_show_everything_once_newest_first(limit: int, service: Service) -> None:
    # Four rows share each moment, so that the id has to decide.
    made = [generation(number, created_at=START + number // 4) for number in range(23)]
    add(service, *random.Random(7).sample(made, len(made)))
    add(service, *[generation(100 + number, account="other") for number in range(5)])
    expected = [each.generation_id for each in sorted(made, key=lambda one: (one.created_at, one.generation_id))][::-1]

    assert walk(service, service.headers(), limit) == expected
    assert len(expected) == 23


def test_rows_that_come_during_a_walk_do_not_disturb_it(service: Service) -> None:
    add(service, *[generation(number) for number in range(10)])
    numbers = iter(range(500, 600))

    seen = walk(service, service.headers(), 3, between=lambda: add(service, generation(next(numbers))))

    assert seen == [f"gen_{number:032x}" for number in reversed(range(10))]


def test_a_page_that_is_exactly_full_has_no_next(service: Service) -> None:
    add(service, *[generation(number) for number in range(4)])
    data = service.call("GET", "/v1/generations?limit=4", headers=service.headers()).get_json()["data"]

    assert (len(data["generations"]), data["next_cursor"]) == (4, None)


def test_without_a_limit_a_page_has_twenty_rows(service: Service) -> None:
    add(service, *[generation(number) for number in range(21)])
    data = service.call("GET", "/v1/generations", headers=service.headers()).get_json()["data"]

    assert len(data["generations"]) == 20


FILTERS = [
    ("", 6),
    ("?kind=image", 4),
    ("?kind=video", 2),
    ("?status=running", 2),
    ("?status=expired", 0),
    ("?model=reef-1", 3),
    ("?model=reef-9", 0),
    ("?kind=image&status=running", 1),
    ("?kind=video&status=running&model=current-1", 1),
    ("?kind=video&model=reef-1", 0),
]


@pytest.mark.parametrize(("query", "count"), FILTERS)
def test_filters_narrow_together(query: str, count: int, service: Service) -> None:
    add(
        service,
        generation(1),
        generation(2, status=Status.RUNNING),
        generation(3, status=Status.FAILED, failure=("provider_failed", "No.")),
        generation(4, model="pearl-2"),
        generation(5, kind=MediaKind.VIDEO, model="current-1", status=Status.RUNNING),
        generation(6, kind=MediaKind.VIDEO, model="current-1"),
    )
    data = service.call("GET", f"/v1/generations{query}", headers=service.headers()).get_json()["data"]

    assert len(data["generations"]) == count


REFUSED_QUERIES = [
    ("limit=0", "BSE2107"),
    ("limit=101", "BSE2107"),
    ("limit=-1", "BSE2107"),
    ("limit=", "BSE2107"),
    ("limit=1.0", "BSE2107"),
    ("limit=1_0", "BSE2107"),
    ("limit=+5", "BSE2107"),
    ("limit=%20" + "5", "BSE2107"),
    ("limit=%EF%BC%95", "BSE2107"),  # a full-width five
    ("limit=" + "9" * 5000, "BSE2107"),
    ("limit=5&limit=6", "BSE2107"),
    ("page=2", "BSE2107"),
    ("account_id=acme", "BSE2107"),
    ("kind=audio", "BSE2107"),
    ("kind=", "BSE2107"),
    ("status=SUCCEEDED", "BSE2107"),
    ("model=", "BSE2107"),
    ("model=%00", "BSE2107"),
    ("model=" + "m" * 65, "BSE2107"),
    ("cursor=", "BSE2108"),
    ("cursor=A", "BSE2108"),
    ("cursor=%FF", "BSE2108"),
    ("cursor=" + "A" * 129, "BSE2108"),
    ("cursor=MTIz", "BSE2108"),  # 123
    ("cursor=YTpnZW5fMDA", "BSE2108"),  # a:gen_00
    ("cursor=____", "BSE2108"),
]


@pytest.mark.parametrize(("query", "code"), REFUSED_QUERIES)
@pytest.mark.parametrize("mode", ["enforce", "off"])
def test_refused_queries(query: str, code: str, mode: str, make_service: Callable[..., Service]) -> None:
    service = make_service(BSGUARD_MODE=mode)
    response = service.client.get(f"/v1/generations?{query}", headers=service.headers())

    if mode == "enforce" and response.get_json()["error"]["code"].startswith("BSE1"):
        assert response.status_code == 400
        return
    assert (response.status_code, response.get_json()["error"]["code"]) == (422, code)


def test_the_tables_were_all_there() -> None:
    assert (len(FILTERS), len(REFUSED_QUERIES)) == (10, 26)


@given(st.integers(0, 10**15 - 1), st.integers(0, 2**128 - 1))
def test_cursors_come_back_as_they_went(created_at: int, number: int) -> None:
    position = Position(created_at, f"gen_{number:032x}")

    assert Position.decode(position.encode()) == position
    assert len(position.encode()) <= 128


@given(st.text(max_size=200))
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        Position.decode(text)
    assert refused.value.error is ErrorCode.INVALID_CURSOR


def test_a_cursor_opens_nothing_of_another_account(service: Service) -> None:
    add(service, *[generation(number) for number in range(3)], generation(50, account="other"))
    cursor = Position(START + 10_000, "gen_" + "f" * 32).encode()
    response = service.call("GET", f"/v1/generations?cursor={cursor}", headers=service.headers(account="other"))

    assert [each["generation_id"] for each in response.get_json()["data"]["generations"]] == [f"gen_{50:032x}"]


def test_a_generation_is_shown_in_full(service: Service) -> None:
    add(service, generation(9, status=Status.FAILED, outputs=(), failure=("provider_failed", "No provider could.")))
    shown = service.call("GET", f"/v1/generations/gen_{9:032x}", headers=service.headers()).get_json()["data"]

    assert shown == {
        "generation_id": f"gen_{9:032x}",
        "kind": "image",
        "model": "reef-1",
        "status": "failed",
        "version": 4,
        "request": {"generation_prompt": "A lighthouse", "generation_ratio": "1:1"},
        "credits": 3,
        "provider": "fal",
        "outputs": [],
        "failure": {"code": "provider_failed", "message": "No provider could."},
        "created_at": "2026-04-19T12:00:00.009Z",
        "updated_at": "2026-04-19T12:00:00.010Z",
    }


@pytest.mark.parametrize(
    "generation_id", ["gen_1", "GEN_" + "0" * 32, "gen_" + "0" * 32, "x" * 5000, "%C3%BC", "gen_" + "g" * 32]
)
def test_what_is_no_generation_is_not_found(generation_id: str, service: Service) -> None:
    response = service.call("GET", f"/v1/generations/{generation_id}", headers=service.headers())

    assert (response.status_code, response.get_json()["error"]["code"]) == (404, "BSE2203")


def test_an_id_is_stored_once(service: Service) -> None:
    add(service, generation(1))

    with service.parts.database.writing() as connection:
        assert generations.add(connection, generation(1, account="other"), due_at=None) is False
    assert service.parts.generations.find("acme", f"gen_{1:032x}") == generation(1)


# (Accept, Last-Event-ID, is final, status, events)
STREAMS = [
    ("text/event-stream", None, True, 200, 1),
    ("text/event-stream", "3", True, 200, 1),
    ("text/event-stream", "4", True, 204, 0),
    ("text/event-stream", "4", False, 200, 0),
    ("text/event-stream", "nonsense", False, 200, 1),
    ("text/event-stream, */*;q=0.1", None, False, 200, 1),
]


@pytest.mark.parametrize(("accept", "last", "final", "status", "events"), STREAMS)
def test_a_generation_as_an_event_stream(
    accept: str, last: str | None, final: bool, status: int, events: int, service: Service
) -> None:
    add(service, generation(1, status=Status.SUCCEEDED if final else Status.RUNNING))
    headers = service.headers() | {"Accept": accept} | ({"Last-Event-ID": last} if last else {})
    path = f"/v1/generations/gen_{1:032x}"
    response = service.call("GET", path, headers=headers)

    assert response.status_code == status
    assert response.text.count("event: generation\n") == events
    if status == 200:
        assert response.mimetype == "text/event-stream"
        assert response.text.endswith("\n\n")
        assert response.text.startswith("retry: 2000\n")
    if events:
        fields = dict(line.split(": ", 1) for line in response.text.splitlines() if line)
        shown = service.call("GET", path, headers=service.headers()).get_json()["data"]
        assert (fields["id"], json.loads(fields["data"])) == ("4", shown)


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "application/json, text/event-stream", "text/html", "q=;,"]
)
def test_any_other_accept_gets_json(accept: str, service: Service) -> None:
    add(service, generation(1))
    headers = service.headers() | {"Accept": accept}

    assert service.call("GET", f"/v1/generations/gen_{1:032x}", headers=headers).mimetype == "application/json"
