"""From accepted to its end: whatever providers do, a generation is charged once or released once.

It is longer than others because its cases share one story.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sample_app import attempts
from sample_app.artifact_pipeline import Unavailable, Unusable, Winner
from sample_app.jobs import Job
from sample_app.providers.port import Absent, Accepted, Reason, Refused, Unknown, Working
from tests.sample_app.fakes import FakeArtifacts, failed, finished

if TYPE_CHECKING:
    from tests.sample_app.story import Story

SILENT = Unknown(Reason.TIMED_OUT)
REFUSED = Refused(Reason.OVERLOADED)
#: reef-1 is offered by replicate and fal, in this order; one image costs 3.
FIRST, SECOND_PROVIDER = "replicate", "fal"


def test_an_inline_result_is_charged(story: Story) -> None:
    seen = story.start()

    assert (seen["status"], seen["provider"], seen["credits"], len(seen["outputs"])) == ("succeeded", FIRST, 3, 1)
    assert story.states() == [(FIRST, "won")]
    assert story.balance() == (97, 0)


def test_the_attempt_is_written_down_before_the_provider_is_called(story: Story) -> None:
    seen = []

    def look(token: str) -> None:
        with story.service.parts.database.reading() as connection:
            attempt = attempts.by_token(connection, token)
        assert attempt is not None
        seen.append(
            (attempt.state, attempt.generation_id, story.service.parts.database.ledger.balance("acme").reserved)
        )

    story.service.port(FIRST).meanwhile = look
    story.start()

    assert seen == [("starting", story.generation_id, 3)]


def test_the_order_names_what_the_contract_names(story: Story) -> None:
    story.start(generation_ratio="16:9", generation_output_number=2)
    _, order, token, webhook_url = story.service.port(FIRST).calls[0]

    assert (order.model, order.prompt, order.ratio, order.output_format) == ("reef-1", "a reef", "16:9", "png")
    assert (order.output_number, order.resolution, order.duration, order.generate_audio) == (2, "1K", 0, False)
    assert webhook_url == f"https://api.us.babysea.ai/v1/webhooks/replicate?attempt={token}"


def test_an_accepted_order_is_polled(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.service.port(FIRST).polls[:] = [Working("job"), finished()]

    assert story.start()["status"] == "running"
    assert story.balance() == (97, 3)
    assert story.sweep(1)["status"] == "running"
    assert story.service.port(FIRST).asked("poll") == 0
    assert story.sweep(1)["status"] == "running"
    assert story.sweep(3)["status"] == "running"
    assert story.sweep(1)["status"] == "succeeded"
    assert story.balance() == (97, 0)


DEFINITE = [
    ([REFUSED], []),
    ([Refused(Reason.UNREACHABLE)], []),
    ([Accepted("job")], [failed()]),
    ([Accepted("job")], [failed(reason=Reason.EXPIRED)]),
]


@pytest.mark.parametrize(("submits", "polls"), DEFINITE)
def test_the_next_provider_is_asked_after_a_definite_failure(story: Story, submits: Any, polls: Any) -> None:
    story.service.port(FIRST).submits[:] = submits
    story.service.port(FIRST).polls[:] = polls or [SILENT]
    story.start()
    seen = story.sweep(2)

    assert (seen["status"], seen["provider"]) == ("succeeded", SECOND_PROVIDER)
    assert story.states() == [(FIRST, "failed"), (SECOND_PROVIDER, "won")]
    assert story.balance() == (97, 0)


def test_it_fails_when_every_provider_has(story: Story) -> None:
    for name in (FIRST, SECOND_PROVIDER):
        story.service.port(name).submits[:] = [REFUSED]
    seen = story.start()

    assert (seen["status"], seen["failure"]["code"]) == ("failed", "provider_failed")
    assert story.states() == [(FIRST, "failed"), (SECOND_PROVIDER, "failed")]
    assert story.balance() == (100, 0)
    assert [each.spend_micro_usd for each in story.attempts()] == [0, 0]


def test_what_all_providers_refuse_to_make_is_said_as_such(story: Story) -> None:
    for name in (FIRST, SECOND_PROVIDER):
        story.service.port(name).submits[:] = [Refused(Reason.CONTENT_POLICY)]

    assert story.start()["failure"]["code"] == "content_refused"


UNKNOWN = [
    ([SILENT], [SILENT]),
    ([Unknown(Reason.SERVER_ERROR)], [SILENT]),
    ([Unknown(Reason.BAD_ANSWER)], [SILENT]),
    ([Accepted("job")], [Unknown(Reason.NOT_FOUND)]),
    ([Accepted("job")], [Working("job")]),
]


@pytest.mark.parametrize(("submits", "polls"), UNKNOWN)
def test_a_silence_keeps_the_hold_and_asks_nobody_else(story: Story, submits: Any, polls: Any) -> None:
    port = story.service.port(FIRST)
    port.submits[:], port.polls[:] = submits, polls
    story.start()
    asked = [0]
    for _ in range(12):
        assert story.sweep(65)["status"] == "running"
        asked.append(port.asked("poll") + port.asked("find"))

    assert story.balance() == (97, 3)
    assert story.service.port(SECOND_PROVIDER).asked("submit") == 0
    assert 10 <= asked[-1] <= 13
    assert story.sweep(150)["status"] == "needs_reconcile"
    assert story.balance() == (97, 3)
    seen = [story.sweep(600)["status"] for _ in range(8)]
    assert (seen[0], seen[-1]) == ("needs_reconcile", "expired")
    assert story.see()["failure"]["code"] == "outcome_unknown"
    assert story.balance() == (100, 0)
    assert [(each.state, each.spend_micro_usd, each.spend_known) for each in story.attempts()] == [
        ("abandoned", 40_000, False)
    ]


def test_a_reconciled_success_is_charged(story: Story) -> None:
    port = story.service.port(FIRST)
    port.submits[:], port.polls[:] = [Accepted("job")], [SILENT]
    story.start()
    for _ in range(3):
        story.sweep(400)
    assert story.see()["status"] == "needs_reconcile"
    port.polls[:] = [finished()]
    assert story.service.parts.jobs.run(Job.RECONCILE) == 1

    assert story.see()["status"] == "succeeded"
    assert story.balance() == (97, 0)


def test_a_reconciled_failure_goes_to_the_next_provider(story: Story) -> None:
    port = story.service.port(FIRST)
    port.submits[:], port.polls[:] = [Accepted("job")], [SILENT]
    story.start()
    for _ in range(3):
        story.sweep(400)
    port.polls[:] = [failed()]
    story.service.parts.jobs.run(Job.RECONCILE)

    assert (story.see()["status"], story.see()["provider"]) == ("succeeded", SECOND_PROVIDER)


def test_a_lost_order_that_is_found_is_charged(story: Story) -> None:
    port = story.service.port(FIRST)
    port.submits[:], port.finds[:] = [SILENT], [finished()]
    story.start()

    assert story.sweep(2)["status"] == "succeeded"
    assert story.states() == [(FIRST, "won")]


def test_an_order_that_is_not_there_may_still_be_on_its_way(story: Story) -> None:
    port = story.service.port(FIRST)
    port.submits[:], port.finds[:] = [SILENT], [Absent()]
    story.start()

    assert story.sweep(2)["status"] == "running"
    assert port.asked("find") == 1
    assert story.states() == [(FIRST, "unknown")]
    for _ in range(5):
        story.sweep(20)
    assert story.states() == [(FIRST, "failed"), (SECOND_PROVIDER, "won")]


def test_a_webhook_settles(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.start()
    token = story.attempts()[0].token
    first, again = story.report(FIRST, token, "finished"), story.report(FIRST, token, "finished")

    assert [answer.status_code for answer in (first, again)] == [202, 202]
    assert [answer.get_json()["data"]["stored"] for answer in (first, again)] == [True, False]
    assert story.see()["status"] == "succeeded"
    assert story.balance() == (97, 0)


def test_a_webhook_that_overtakes_the_answer_settles(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.service.port(FIRST).meanwhile = lambda token: story.report(FIRST, token, "finished")

    assert story.start()["status"] == "succeeded"
    assert story.states() == [(FIRST, "won")]
    assert story.balance() == (97, 0)


@pytest.mark.parametrize("stray", ["0" * 32, "f" * 32])
def test_a_webhook_that_was_caught_and_sent_elsewhere_first_is_still_heard(story: Story, stray: str) -> None:
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.start()
    token = story.attempts()[0].token
    stored = []
    for sent_to in (stray, stray, token, stray, token):
        stored.append(story.report(FIRST, sent_to, "finished").get_json()["data"]["stored"])

    assert stored == [True, False, True, False, False]
    assert story.see()["status"] == "succeeded"
    assert story.states() == [(FIRST, "won")]
    assert story.balance() == (97, 0)


def test_webhooks_out_of_order_change_nothing(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.start()
    token = story.attempts()[0].token
    for event, status in (("2", "finished"), ("1", "working"), ("3", "failed"), ("4", "finished")):
        assert story.report(FIRST, token, status, event).status_code == 202

    assert story.see()["status"] == "succeeded"
    assert story.states() == [(FIRST, "won")]
    assert story.balance() == (97, 0)


STRANGERS = [
    ("an unknown token", FIRST, "0" * 32, "job"),
    ("another provider's attempt", SECOND_PROVIDER, None, "job"),
    ("another order", FIRST, None, "job-2"),
]


@pytest.mark.parametrize(("provider", "token", "job"), [case[1:] for case in STRANGERS], ids=[c[0] for c in STRANGERS])
def test_a_report_about_something_else_is_stored_and_not_believed(
    story: Story, provider: str, token: str | None, job: str
) -> None:
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.start()
    answer = story.report(provider, token or story.attempts()[0].token, "finished", job=job)

    assert (answer.status_code, answer.get_json()["data"]["stored"]) == (202, True)
    assert story.see()["status"] == "running"


def test_a_forged_report_is_refused_and_evented(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "control_plane.events")
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.start()
    answer = story.report(FIRST, story.attempts()[0].token, "finished", sig="forged")

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "BSE2007")
    assert [record.event for record in caplog.records] == ["webhook.refused"]  # type: ignore[attr-defined]
    assert story.see()["status"] == "running"


def test_cancelling_gives_the_credits_back_and_stops_the_provider(story: Story) -> None:
    port = story.service.port(FIRST)
    port.submits[:], port.polls[:] = [Accepted("job")], [failed(reason=Reason.CANCELLED)]
    story.start()
    answers = [story.cancel(), story.cancel()]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.get_json()["data"]["status"] for answer in answers] == ["cancelled", "cancelled"]
    assert (port.asked("cancel"), story.balance()) == (1, (100, 0))
    story.sweep()
    assert story.states() == [(FIRST, "failed")]


def test_a_success_after_the_cancellation_is_late_and_not_charged(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.start()
    story.cancel()
    story.report(FIRST, story.attempts()[0].token, "finished")

    assert story.see()["status"] == "cancelled"
    assert story.see()["outputs"] == []
    assert [(each.state, each.spend_micro_usd) for each in story.attempts()] == [("late", 50_000)]
    assert story.balance() == (100, 0)


def test_nothing_that_has_ended_is_cancelled(story: Story) -> None:
    story.start()

    assert (story.cancel().status_code, story.balance()) == (409, (97, 0))


def test_the_first_success_settles_and_the_second_is_late(story: Story) -> None:
    """The first provider reports a failure, the second is at work, and the first has succeeded after all."""
    for name in (FIRST, SECOND_PROVIDER):
        story.service.port(name).submits[:] = [Accepted("job")]
    story.start()
    token = story.attempts()[0].token
    story.report(FIRST, token, "failed", "1")
    assert story.states() == [(FIRST, "failed"), (SECOND_PROVIDER, "running")]
    story.report(FIRST, token, "finished", "2")
    assert (story.see()["status"], story.see()["provider"]) == ("succeeded", FIRST)
    story.report(SECOND_PROVIDER, story.attempts()[1].token, "finished", "1")

    assert story.states() == [(FIRST, "won"), (SECOND_PROVIDER, "late")]
    assert story.balance() == (97, 0)
    assert sum(each.spend_micro_usd for each in story.attempts()) == 100_000
    assert story.see()["version"] == 5


def test_a_success_after_the_failure_is_late(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.service.port(SECOND_PROVIDER).submits[:] = [REFUSED]
    story.start()
    token = story.attempts()[0].token
    story.report(FIRST, token, "failed", "1")
    assert story.see()["status"] == "failed"
    story.report(FIRST, token, "finished", "2")

    assert (story.see()["status"], story.states()[0]) == ("failed", (FIRST, "late"))
    assert story.balance() == (100, 0)


def test_what_a_provider_denied_and_did_is_in_the_books(story: Story) -> None:
    """It has no such order, and later reports that it is done, without saying what it charges."""
    port = story.service.port(FIRST)
    port.submits[:], port.finds[:], port.charges = [SILENT], [Absent()], False
    story.start()
    for _ in range(5):
        story.sweep(20)
    assert [(each.state, each.spend_micro_usd) for each in story.attempts()] == [("failed", 0), ("won", 50_000)]
    story.report(FIRST, story.attempts()[0].token, "finished")

    first = story.attempts()[0]
    assert (first.state, first.spend_micro_usd, first.spend_known) == ("late", 40_000, False)
    assert story.balance() == (97, 0)


def test_the_storage_is_looked_at_before_the_next_provider_is_paid(story: Story) -> None:
    """The database thinks that the attempt has failed; its outputs are in the storage."""
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.start()
    stored = story.service.artifacts.put("x", [b"\x89PNG"], "image/png", 10)
    story.service.artifacts.winners[story.generation_id] = Winner(1, (stored,))
    story.report(FIRST, story.attempts()[0].token, "failed")

    assert (story.see()["status"], story.see()["provider"]) == ("succeeded", FIRST)
    assert story.service.port(SECOND_PROVIDER).asked("submit") == 0


def test_nobody_else_is_paid_when_a_success_comes_in_at_the_last_moment(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after it was decided to ask the next provider, and before that is written down."""
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.start()
    token = story.attempts()[0].token

    def look(_artifacts: object, _account: str, _generation: str) -> None:
        story.report(FIRST, token, "finished", "2")

    monkeypatch.setattr(FakeArtifacts, "winner", look)
    story.report(FIRST, token, "failed", "1")

    assert story.states() == [(FIRST, "won")]
    assert story.service.port(SECOND_PROVIDER).asked("submit") == 0
    assert story.balance() == (97, 0)


def test_outputs_that_cannot_be_used_go_to_the_next_provider_and_stay_in_the_books(story: Story) -> None:
    story.service.artifacts.answers[:] = [Unusable("wrong_content"), None]
    seen = story.start()

    assert (seen["status"], seen["provider"]) == ("succeeded", SECOND_PROVIDER)
    assert [(each.state, each.reason, each.spend_micro_usd) for each in story.attempts()] == [
        ("failed", "wrong_content", 50_000),
        ("won", None, 50_000),
    ]


def test_outputs_that_cannot_be_fetched_are_tried_again(story: Story) -> None:
    story.service.artifacts.answers[:] = [Unavailable("timed_out"), Unavailable("timed_out"), None]

    assert story.start()["status"] == "running"
    assert story.sweep(1)["status"] == "running"
    assert story.sweep(9)["status"] == "running"
    assert story.sweep(9)["status"] == "succeeded"
    assert story.service.port(SECOND_PROVIDER).asked("submit") == 0


def test_outputs_that_come_after_the_deadline_are_tried_again_too(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [Accepted("job")]
    story.start()
    story.sweep(900)
    assert story.sweep(900)["status"] == "needs_reconcile"
    story.service.artifacts.answers[:] = [Unavailable("timed_out"), None]
    story.report(FIRST, story.attempts()[0].token, "finished")
    assert story.states() == [(FIRST, "finished")]

    assert story.sweep(30)["status"] == "succeeded"
    assert story.service.port(SECOND_PROVIDER).asked("submit") == 0


def test_outputs_that_can_never_be_fetched_are_given_up(story: Story) -> None:
    story.service.artifacts.answers[:] = [Unavailable("timed_out")]
    story.service.port(SECOND_PROVIDER).submits[:] = [REFUSED]
    story.start()
    for _ in range(2):
        story.sweep(900)

    assert (story.see()["status"], story.states()[0]) == ("failed", (FIRST, "failed"))
    assert story.balance() == (100, 0)


def test_what_was_not_delivered_is_not_charged(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [finished(outputs=2)]
    seen = story.start(generation_output_number=4)

    assert (seen["status"], seen["credits"], len(seen["outputs"])) == ("succeeded", 6, 2)
    assert story.balance() == (94, 0)


def test_what_was_not_asked_for_is_not_delivered(story: Story) -> None:
    story.service.port(FIRST).submits[:] = [finished(outputs=3)]

    assert len(story.start()["outputs"]) == 1


def test_a_failure_nobody_foresaw_is_tried_again(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as broken:
        broken.setattr(story.service.port(FIRST), "quote", fail)
        assert story.start()["status"] == "reserved"
    assert story.sweep(2)["status"] == "succeeded"


def test_only_one_works_on_a_generation(story: Story) -> None:
    asked = []
    lifecycle = story.service.parts.runner._advance
    story.service.port(FIRST).meanwhile = lambda _token: asked.append(lifecycle(story.generation_id or _last(story)))
    story.start()

    assert asked == [False]
    assert story.states() == [(FIRST, "won")]


def _last(story: Story) -> str:
    page = story.service.call("GET", "/v1/generations?limit=1", headers=story.headers).get_json()
    return str(page["data"]["generations"][0]["generation_id"])
