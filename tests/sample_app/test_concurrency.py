"""Many at once: one key is one generation, an account has no more at once than it may, and a job runs once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from sample_app import leases
from sample_app.jobs import Job
from sample_app.providers.port import Accepted
from sample_app.tables import generations

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sample_app.story import Story
    from tests.sample_app.support import Service

BODY = {"generation_prompt": "a reef"}
IMAGE = "/v1/generate/image/reef-1"


def post(service: Service, path: str, headers: dict[str, str], body: Any) -> Any:
    return service.app.test_client().post(path, headers=headers, json=body)


def test_one_key_is_one_generation_however_many_ask(story: Story) -> None:
    headers = story.headers | {"Idempotency-Key": "order-1"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(story.service, IMAGE, headers, BODY), range(16)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.get_json()["data"]["generation_id"] for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert story.balance() == (97, 0)


def test_a_key_that_was_used_for_another_body_is_refused(story: Story) -> None:
    headers = story.headers | {"Idempotency-Key": "order-1"}
    first = post(story.service, IMAGE, headers, BODY)
    other = [
        post(story.service, IMAGE, headers, BODY | {"generation_ratio": "1:1"}),
        post(story.service, IMAGE.replace("reef-1", "reef-1-pro"), headers, BODY),
    ]

    assert first.status_code == 202
    assert [(each.status_code, each.get_json()["error"]["code"]) for each in other] == [(422, "BSE2110")] * 2
    assert story.balance() == (97, 0)


def test_a_key_belongs_to_an_account_and_an_operation(story: Story) -> None:
    story.service.parts.database.ledger.topup("other", 100, key="test")
    mine, theirs = story.headers, story.service.headers(account="other")
    made = [post(story.service, IMAGE, each | {"Idempotency-Key": "order-1"}, BODY) for each in (mine, theirs)]
    topup = post(story.service, "/v1/billing/topups", mine | {"Idempotency-Key": "order-1"}, {"credits": 5})

    assert [each.status_code for each in (*made, topup)] == [202, 202, 201]
    assert len({each.get_json()["data"]["generation_id"] for each in made}) == 2


def test_a_key_whose_request_was_refused_can_be_used_again(story: Story) -> None:
    headers = story.service.headers(account="poor") | {"Idempotency-Key": "order-1"}
    refused = post(story.service, IMAGE, headers, BODY)
    story.service.parts.database.ledger.topup("poor", 3, key="test")

    assert (refused.status_code, post(story.service, IMAGE, headers, BODY).status_code) == (402, 202)


def test_credits_cannot_be_spent_twice(story: Story) -> None:
    """A hundred credits pay for 33 images at 3 each."""
    story.service.port("replicate").submits[:] = [Accepted("job")]
    story.service.app.config["RATELIMIT_ENABLED"] = False
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(story.service, IMAGE, story.headers, BODY), range(40)))
    told = Counter(answer.status_code for answer in answers)
    left = story.balance()

    # At most twenty may be unfinished at once.
    assert told == {202: 20, 429: 20}
    assert left == (40, 60)


@pytest.mark.parametrize("allowed", [1, 3])
def test_an_account_has_no_more_at_once_than_it_may(
    make_service: Callable[..., Service], database_url: str, allowed: int
) -> None:
    service = make_service(CONTROL_PLANE_DATABASE_URL=database_url, CONTROL_PLANE_UNFINISHED_MAX=allowed)
    service.parts.database.prepare()
    service.parts.database.ledger.topup("acme", 1_000, key="test")
    service.port("replicate").submits[:] = [Accepted("job")]
    headers = service.headers()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(service, IMAGE, headers, BODY), range(12)))

    assert Counter(answer.status_code for answer in answers) == {202: allowed, 429: 12 - allowed}
    assert service.parts.database.ledger.balance("acme").reserved == 3 * allowed
    assert service.parts.database.ledger.audit() == ()


def test_a_job_runs_once_at_a_time(story: Story) -> None:
    now, parts = story.service.clock(), story.service.parts
    with parts.database.writing() as connection:
        assert leases.take_job(connection, Job.SWEEP, "somebody", now, now + 1_000)

    assert parts.jobs.run(Job.SWEEP) is None
    assert parts.jobs.run(Job.OUTBOX) is not None
    story.service.clock.now += 1_000
    assert parts.jobs.run(Job.SWEEP) is not None


def test_of_many_only_one_takes_a_generation(story: Story) -> None:
    story.service.port("replicate").submits[:] = [Accepted("job")]
    story.start()
    now, database = story.service.clock() + 10_000, story.service.parts.database

    def take(who: int) -> bool:
        with database.writing() as connection:
            return leases.take(connection, story.generation_id, str(who), now, now + 1_000)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(take, range(8))) == [False] * 7 + [True]


def test_a_process_that_stops_hands_its_leases_back(story: Story) -> None:
    story.service.port("replicate").submits[:] = [Accepted("job")]
    story.start()
    parts, now = story.service.parts, story.service.clock()
    with parts.database.writing() as connection:
        assert leases.take(connection, story.generation_id, leases.thread_of(parts.who), now, now + 60_000)
    assert story.sweep(3)["status"] == "running"
    story.service.port("replicate").polls[:] = []
    parts.stop()
    with parts.database.reading() as connection:
        row = connection.execute(generations.select()).one()

    assert (row.lease_owner, row.lease_until, row.due_at) == (None, None, story.service.clock())


def test_a_signal_that_comes_meanwhile_is_not_slept_over(story: Story) -> None:
    story.service.port("replicate").submits[:] = [Accepted("job")]
    story.start()
    now, database = story.service.clock() + 10_000, story.service.parts.database
    with database.writing() as connection:
        assert leases.take(connection, story.generation_id, "me", now, now + 1_000)
        seen = leases.signals(connection, story.generation_id)
        leases.signal(connection, story.generation_id, now)

        assert not leases.give_back(connection, story.generation_id, "me", seen, now + 99_000)
        assert leases.give_back(connection, story.generation_id, "me", seen + 1, now + 99_000)


def test_a_cancellation_while_the_outputs_are_fetched_wins(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.service.port("replicate").submits[:] = [Accepted("job")]
    story.start()
    keep = story.service.artifacts.keep

    def cancel_and_keep(*arguments: Any) -> Any:
        assert story.cancel().status_code == 200
        return keep(*arguments)

    monkeypatch.setattr(story.service.artifacts, "keep", cancel_and_keep)
    story.report("replicate", story.attempts()[0].token, "finished")

    assert (story.see()["status"], story.see()["outputs"]) == ("cancelled", [])
    assert story.states() == [("replicate", "late")]
    assert story.balance() == (100, 0)


def test_a_cancellation_is_acted_on_even_if_the_process_dies_at_once(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.service.port("replicate").submits[:] = [Accepted("job")]
    story.start()
    monkeypatch.setattr(story.service.parts.runner, "wake", lambda _generation_id: None)
    story.cancel()
    assert story.service.port("replicate").asked("cancel") == 0
    story.sweep()

    assert story.service.port("replicate").asked("cancel") == 1
