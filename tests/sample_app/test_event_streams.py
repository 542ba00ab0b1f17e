"""Event streams and customers' webhooks: everything that happened, in order, once each, to those who may know."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from sample_app.deliveries import Sent
from sample_app.event_streams import STREAMS_MAX, STREAMS_PER_KEY_MAX
from sample_app.jobs import Job
from sample_app.providers.port import Accepted

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.sample_app.fakes import FakeSender
    from tests.sample_app.story import Story
    from tests.sample_app.support import Service


def events(text: str) -> list[tuple[int, str]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if "data: " in block]
    return [(int(block[0][4:]), json.loads(block[2][6:])["status"]) for block in blocks]


def follow(story: Story, last: str | None = None) -> Any:
    headers = story.headers | {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
    return story.service.call("GET", f"/v1/generations/{story.generation_id}", headers=headers)


def test_who_comes_back_gets_what_was_missed(story: Story) -> None:
    story.start()

    assert events(follow(story, "0").text) == [(1, "accepted"), (2, "reserved"), (3, "running"), (4, "succeeded")]
    assert events(follow(story, "2").text) == [(3, "running"), (4, "succeeded")]
    assert events(follow(story).text) == [(4, "succeeded")]
    assert follow(story, "4").status_code == 204


def test_a_stream_shows_what_happens_while_it_is_open(make_service: Callable[..., Service]) -> None:
    service = make_service(CONTROL_PLANE_STREAM_SECONDS=20)
    service.parts.database.prepare()
    service.parts.database.ledger.topup("acme", 100, key="test")
    service.port("replicate").submits[:] = [Accepted("job")]
    headers = service.headers()
    started = service.call("POST", "/v1/generate/image/reef-1", headers=headers, json={"generation_prompt": "a reef"})
    path = started.headers["Location"]
    seen: list[str] = []

    def listen() -> None:
        stream = service.app.test_client().get(path, headers=headers | {"Accept": "text/event-stream"})
        seen.append(stream.text)

    listener = threading.Thread(target=listen)
    listener.start()
    deadline = time.monotonic() + 10
    while not service.parts.streams.slots._open and time.monotonic() < deadline:
        time.sleep(0.01)
    service.call("POST", f"{path}/cancel", headers=headers)
    listener.join(15)

    assert events(seen[0]) == [(3, "running"), (4, "cancelled")]
    assert not service.parts.streams.slots._open


def test_slots_are_given_back_however_a_stream_ends(story: Story) -> None:
    story.start()
    streams = story.service.parts.streams
    for _ in range(STREAMS_MAX + 1):
        follow(story, "1")
    opened = [streams.follow("a", story.generation_id, 0) for _ in range(STREAMS_PER_KEY_MAX)]
    for stream in opened:
        next(stream)
        stream.close()  # type: ignore[attr-defined]

    assert not streams.slots._open
    assert STREAMS_PER_KEY_MAX * 2 <= STREAMS_MAX


def sender(story: Story) -> FakeSender:
    found: Any = story.service.edges.sender
    return found


def deliver(story: Story) -> list[tuple[str, str, str]]:
    before = len(sender(story).sent)
    assert story.service.parts.jobs.run(Job.OUTBOX) is not None
    return [(url, event, json.loads(body)["status"]) for url, _, event, body in sender(story).sent[before:]]


def test_customers_hear_of_every_change_once(story: Story) -> None:
    story.service.parts.deliveries.subscribe("acme", "https://acme.example/hooks", "whsec_x")
    story.service.parts.deliveries.subscribe("other", "https://other.example/hooks", "whsec_y")
    story.start()
    sent = deliver(story)

    assert [status for _, _, status in sent] == ["accepted", "reserved", "running", "succeeded"]
    assert {url for url, _, _ in sent} == {"https://acme.example/hooks"}
    assert len({event for _, event, _ in sent}) == 4
    assert deliver(story) == []


def test_a_delivery_is_repeated_as_scheduled_and_then_given_up(story: Story) -> None:
    sender(story).answers[:] = [Sent(delivered=False, outcome="500")]
    story.service.parts.deliveries.subscribe("acme", "https://acme.example/hooks", "whsec_x")
    story.start()
    tried = [len(deliver(story))]
    for seconds in (4, 1, 5, 1_000, 1_000):
        story.service.clock.now += seconds * 1_000
        tried.append(len(deliver(story)))

    # The fake's schedule: five seconds after the first and the second try, and no more after the third.
    assert tried == [4, 0, 4, 4, 0, 0]


def test_who_is_gone_hears_nothing_more(story: Story) -> None:
    sender(story).answers[:] = [Sent(delivered=False, outcome="410", gone=True)]
    made = story.service.parts.deliveries.subscribe("acme", "https://acme.example/hooks", "whsec_x")
    story.start()

    assert len(deliver(story)) == 1
    assert story.service.parts.deliveries.list("acme")[0].disabled_at is not None
    assert story.service.parts.deliveries.list()[0].subscription_id == made.subscription_id


def test_slow_receivers_do_not_hold_up_what_else_is_to_do(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper's thread delivers, and has generations to look after too."""
    story.service.parts.deliveries.subscribe("acme", "https://acme.example/hooks", "whsec_x")
    story.start()
    send = sender(story).send

    def slowly(*given: Any) -> Sent:
        story.service.clock.now += 15_000
        return send(*given)

    monkeypatch.setattr(sender(story), "send", slowly)
    tried = [len(deliver(story)) for _ in range(3)]

    assert tried == [2, 2, 0]


def test_a_delivery_that_somebody_tries_is_not_tried_by_another(story: Story) -> None:
    sender(story).answers[:] = [Sent(delivered=False, outcome="500")]
    made = story.service.parts.deliveries.subscribe("acme", "https://acme.example/hooks", "whsec_x")
    story.start()
    deliver(story)
    event = int(sender(story).sent[0][2].removeprefix("evt_"))

    assert story.service.parts.deliveries._try(event, made.subscription_id) is False
    assert len(sender(story).sent) == 4
