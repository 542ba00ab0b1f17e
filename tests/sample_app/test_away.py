"""Who was away: machines that stand still, threads that lose their lease, models that are gone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from sample_app import attempts, crash_points, event_system, leases
from sample_app.catalogue import Catalogue
from sample_app.providers.port import Accepted, Reason, Unknown
from sample_app.tables import generations
from tests.sample_app.fakes import failed, finished

if TYPE_CHECKING:
    from tests.sample_app.story import Story

SILENT = Unknown(Reason.TIMED_OUT)
#: reef-1 is offered by replicate and fal, in this order; one image costs 3.
FIRST, SECOND_PROVIDER = "replicate", "fal"


def test_what_was_done_while_this_service_was_away_is_charged(story: Story) -> None:
    port = story.service.port(FIRST)
    port.submits[:], port.polls[:] = [Accepted("job")], [SILENT]
    story.start()
    story.sweep(65)
    port.polls[:] = [finished()]

    assert story.sweep(3 * 86_400)["status"] == "succeeded"
    assert story.balance() == (97, 0)


def test_a_report_that_comes_with_the_last_question_is_heard(story: Story) -> None:
    port = story.service.port(FIRST)
    port.submits[:], port.polls[:] = [Accepted("job")], [SILENT]
    story.start()
    story.sweep(1_000)
    assert story.see()["status"] == "needs_reconcile"
    token = story.attempts()[0].token

    def silent(_model: str, _provider_id: str) -> Unknown:
        port.poll = type(port).poll.__get__(port)
        crash_points.hook = report
        return SILENT

    def report(point: str) -> None:
        if point == "answer.done":
            crash_points.hook = None
            story.report(FIRST, token, "finished")

    port.poll = silent
    try:
        seen = story.sweep(10_000)
    finally:
        crash_points.hook = None

    assert seen["status"] == "succeeded"
    assert story.balance() == (97, 0)


def test_who_stood_still_before_the_call_does_not_call(story: Story) -> None:
    def stand_still(point: str) -> None:
        if point == "attempt.done":
            crash_points.hook = None
            story.service.clock.now += 61_000

    crash_points.hook = stand_still
    try:
        seen = story.start()
    finally:
        crash_points.hook = None

    assert story.service.port(FIRST).asked("submit") == 0
    assert (seen["status"], seen["provider"]) == ("succeeded", SECOND_PROVIDER)
    assert [(each.reason, each.spend_micro_usd) for each in story.attempts()] == [("not_sent", 0), (None, 50_000)]


def test_a_thread_does_not_take_its_neighbours_lease_for_its_own(story: Story) -> None:
    service, port = story.service, story.service.port(FIRST)
    port.submits[:] = [Accepted("job")]
    owners, kept = [], []

    def owner() -> str:
        with service.parts.database.reading() as connection:
            return str(connection.execute(select(generations.c.lease_owner)).scalar_one())

    def overtake(token: str) -> None:
        with service.parts.database.reading() as connection:
            attempt = attempts.by_token(connection, token)
        assert attempt is not None
        owners.append(owner())
        service.clock.now += 61_000
        service.parts.runner.wake(attempt.generation_id)

    def find(_model: str, _token: str, _submitted_at: int) -> Unknown:
        owners.append(owner())
        with service.parts.database.reading() as connection:
            generation_id = connection.execute(select(generations.c.generation_id)).scalar_one()
            kept.append(leases.held_until(connection, generation_id, owners[0]))
        return SILENT

    port.meanwhile, port.find = overtake, find
    story.start()

    assert kept == [None]
    assert len(set(owners)) == 2
    assert all(each.startswith(f"{service.parts.who}/") for each in owners)


@pytest.mark.parametrize("answer", [finished(), failed()])
def test_a_generation_whose_model_was_removed_ends(story: Story, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    port = story.service.port(FIRST)
    port.submits[:], port.polls[:] = [Accepted("job")], [SILENT]
    story.start()
    monkeypatch.setattr(Catalogue, "find", lambda _catalogue, _name: None)

    assert story.sweep(2)["status"] == "running"
    port.polls[:] = [answer]
    assert story.sweep(60)["status"] == "failed"
    assert story.balance() == (100, 0)
    assert story.states() == [(FIRST, "failed")]
    assert story.attempts()[0].spend_micro_usd == (50_000 if answer == finished() else 0)
    with story.service.parts.database.reading() as connection:
        news = event_system.since(connection, story.generation_id, 0)
    assert json.loads(news[-1].payload)["status"] == "failed"
