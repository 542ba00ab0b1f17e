"""Every adapter against its simulated provider, over real HTTP: orders, faults, webhooks, and what each answer is."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from sample_app.clock import system_clock
from sample_app.providers.port import (
    Absent,
    Accepted,
    CancelRequested,
    Failed,
    Finished,
    Reason,
    Refused,
    TooLate,
    Unknown,
    Working,
)
from sample_app.simulated.faults import Fault
from tests.sample_app.providers.conftest import make_ports, read, until
from tests.sample_app.providers.support import IDS, JOBS, jobs_of, order, place

if TYPE_CHECKING:
    from sample_app.providers.port import Order
    from tests.sample_app.providers.conftest import Receiver
    from tests.sample_app.providers.support import Ports, Providers


@pytest.mark.parametrize(("provider", "model"), JOBS, ids=IDS)
def test_an_order_is_taken_done_once_and_reported(
    ports: Ports, simulated: Providers, receiver: Receiver, provider: str, model: str
) -> None:
    port = ports[provider]
    token, taken = place(port, receiver, order(model, "A reef \U0001f420 at dawn"))
    assert isinstance(taken, Accepted)

    done = until(port, model, taken.provider_id, Finished)
    assert isinstance(done, Finished)
    assert done.provider_id == taken.provider_id
    assert len(done.outputs) == 1
    notices = [read(port, delivery) for delivery in receiver.wait(token, 2 if provider == "replicate" else 1)]
    assert notices[-1].progress == done
    assert len({notice.event_id for notice in notices}) == len(notices)
    (job,) = jobs_of(simulated[provider], token)
    assert job["executed"] == 1
    if done.spend is not None:
        assert (done.spend.micro_usd, done.spend.reported) == (job["charged_micro_usd"], True)


def test_all_dialects_were_there() -> None:
    assert len(JOBS) == 5


TRANSLATED = [
    (
        "replicate",
        order("reef-1", ratio="21:9", output_format="jpeg", output_number=4, resolution="2K", input_url="https://x/i"),
        {
            "prompt": "A reef at dawn",
            "aspect_ratio": "21:9",
            "output_format": "jpg",
            "num_outputs": 4,
            "resolution": "2K",
            "image": "https://x/i",
        },
    ),
    (
        "replicate",
        order("current-1", duration=4, resolution="480p", generate_audio=False, output_format="webm"),
        {
            "prompt": "A reef at dawn",
            "aspect_ratio": "16:9",
            "output_format": "webm",
            "num_outputs": 1,
            "resolution": "480p",
            "duration": 4,
            "generate_audio": False,
        },
    ),
    (
        "fal",
        order("reef-1", ratio="16:9", output_format="jpeg", output_number=2, resolution="1K", input_url="https://x/i"),
        {
            "prompt": "A reef at dawn",
            "image_size": {"width": 1360, "height": 768},
            "output_format": "jpeg",
            "num_images": 2,
            "image_url": "https://x/i",
        },
    ),
    (
        "fal",
        order("current-1", ratio="9:16", duration=6, resolution="720p"),
        {
            "prompt": "A reef at dawn",
            "aspect_ratio": "9:16",
            "output_format": "mp4",
            "num_videos": 1,
            "duration": "6s",
            "resolution": "720p",
            "generate_audio": True,
        },
    ),
    (
        "openrouter",
        order("lagoon-3", duration=10, resolution="720p"),
        {
            "model": "lagoon/lagoon-3",
            "prompt": "A reef at dawn",
            "aspect_ratio": "16:9",
            "duration": 10,
            "resolution": "720p",
            "generate_audio": True,
            "output_format": "mp4",
        },
    ),
]


@pytest.mark.parametrize(("provider", "placed", "given"), TRANSLATED, ids=[case[0] for case in TRANSLATED])
def test_the_public_fields_become_the_providers(
    ports: Ports, simulated: Providers, receiver: Receiver, provider: str, placed: Order, given: dict[str, object]
) -> None:
    token, taken = place(ports[provider], receiver, placed)

    assert isinstance(taken, Accepted)
    (job,) = jobs_of(simulated[provider], token)
    assert {name: value for name, value in job["given"].items() if name != "callback_url"} == given  # type: ignore[attr-defined]


LOST = [
    (Fault.TIMES_OUT_AFTER_WORK, Reason.TIMED_OUT),
    (Fault.HANGS_UP_AFTER_WORK, Reason.BROKEN),
    (Fault.SERVER_ERROR_AFTER_WORK, Reason.SERVER_ERROR),
    (Fault.SERVER_ERROR, Reason.SERVER_ERROR),
    (Fault.NO_ID, Reason.BAD_ANSWER),
    (Fault.GARBAGE, Reason.BAD_ANSWER),
]


@pytest.mark.parametrize(("fault", "reason"), LOST, ids=[fault.value for fault, _ in LOST])
@pytest.mark.parametrize(("provider", "model"), JOBS[1:3] + JOBS[4:], ids=IDS[1:3] + IDS[4:])
def test_an_order_whose_answer_is_lost_is_unknown_and_never_refused(
    ports: Ports, simulated: Providers, receiver: Receiver, fault: Fault, reason: Reason, provider: str, model: str
) -> None:
    port = ports[provider]
    token, answer = place(port, receiver, order(model, f"A reef simulate:any:{fault}"))

    assert answer == Unknown(reason)
    if fault is Fault.SERVER_ERROR:
        assert jobs_of(simulated[provider], token) == []
        return
    # The webhook tells whose order it is, and what became of it.
    notice = read(port, receiver.wait(token, 2 if provider == "replicate" else 1)[-1])
    assert isinstance(notice.progress, Finished)
    (job,) = jobs_of(simulated[provider], token)
    assert job["job_id"] == notice.progress.provider_id


REFUSED = [(Fault.REFUSES, Reason.INVALID_ORDER), (Fault.OVERLOADED, Reason.OVERLOADED)]


@pytest.mark.parametrize(("fault", "reason"), REFUSED, ids=[fault.value for fault, _ in REFUSED])
@pytest.mark.parametrize(("provider", "model"), [*JOBS, ("openrouter", "pearl-2")])
def test_a_refused_order_never_ran(
    ports: Ports, simulated: Providers, receiver: Receiver, fault: Fault, reason: Reason, provider: str, model: str
) -> None:
    token, answer = place(ports[provider], receiver, order(model, f"A reef simulate:{provider}:{fault}"))

    assert answer == Refused(reason)
    assert jobs_of(simulated[provider], token) == []


@pytest.mark.parametrize(
    ("fault", "reason"), [(Fault.FAILS, Reason.PROVIDER_FAILED), (Fault.FLAGGED, Reason.CONTENT_POLICY)]
)
@pytest.mark.parametrize(("provider", "model"), JOBS, ids=IDS)
def test_a_failure_is_definite_and_free(
    ports: Ports, simulated: Providers, receiver: Receiver, provider: str, model: str, fault: Fault, reason: Reason
) -> None:
    if provider == "openrouter":
        reason = Reason.PROVIDER_FAILED  # it does not say why
    port = ports[provider]
    token, taken = place(port, receiver, order(model, f"A reef simulate:any:{fault}"))
    assert isinstance(taken, Accepted)

    failed = until(port, model, taken.provider_id, Failed)
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.spend.micro_usd) == (reason, 0)
    assert read(port, receiver.wait(token, 2 if provider == "replicate" else 1)[-1]).progress == failed
    assert jobs_of(simulated[provider], token)[0]["charged_micro_usd"] == 0


@pytest.mark.parametrize(("provider", "model"), JOBS[:2], ids=IDS[:2])
def test_a_cancelled_order_ends_without_a_result(ports: Ports, receiver: Receiver, provider: str, model: str) -> None:
    port = ports[provider]
    _, taken = place(port, receiver, order(model, "A reef simulate:any:stuck"))
    assert isinstance(taken, Accepted)

    assert port.cancel(model, taken.provider_id) == CancelRequested()
    failed = until(port, model, taken.provider_id, Failed)
    assert isinstance(failed, Failed)
    assert failed.reason is Reason.CANCELLED


@pytest.mark.parametrize(("provider", "model"), JOBS[:2], ids=IDS[:2])
def test_a_cancellation_may_come_to_nothing(
    ports: Ports, simulated: Providers, receiver: Receiver, provider: str, model: str
) -> None:
    port = ports[provider]
    token, taken = place(port, receiver, order(model, "A reef simulate:any:success_after_cancel"))
    assert isinstance(taken, Accepted)

    assert port.cancel(model, taken.provider_id) == CancelRequested()
    assert isinstance(until(port, model, taken.provider_id, Finished), Finished)
    assert port.cancel(model, taken.provider_id) == TooLate()
    assert jobs_of(simulated[provider], token)[0]["executed"] == 1


def test_openrouter_cannot_cancel_and_says_so(ports: Ports, receiver: Receiver) -> None:
    _, taken = place(ports["openrouter"], receiver, order("lagoon-3"))
    assert isinstance(taken, Accepted)

    assert ports["openrouter"].cancel("lagoon-3", taken.provider_id) == Unknown(Reason.UNSUPPORTED)


def test_replicate_finds_an_order_by_its_token_and_the_others_say_that_they_cannot(
    ports: Ports, simulated: Providers, receiver: Receiver
) -> None:
    simulated["replicate"].reset()
    now = system_clock()
    token, answer = place(ports["replicate"], receiver, order("reef-1", "A reef simulate:any:hangs_up_after_work"))
    assert isinstance(answer, Unknown)

    found = ports["replicate"].find("reef-1", token, now)
    assert isinstance(found, (Working, Finished))
    assert found.provider_id == jobs_of(simulated["replicate"], token)[0]["job_id"]
    other = secrets.token_hex(16)
    # A moment after the order it may still be on its way; after a while it is not.
    assert ports["replicate"].find("reef-1", other, now) == Unknown(Reason.NOT_FOUND)
    assert ports["replicate"].find("reef-1", other, now - 200_000) == Absent()
    for provider, model in (("fal", "reef-1"), ("openrouter", "lagoon-3")):
        assert ports[provider].find(model, token, now) == Unknown(Reason.UNSUPPORTED)


def test_replicate_finds_an_order_behind_many_others(ports: Ports, simulated: Providers, receiver: Receiver) -> None:
    simulated["replicate"].reset()
    now = system_clock()
    token, _ = place(ports["replicate"], receiver, order("reef-1"))
    for _ in range(120):
        ports["replicate"].submit(order("reef-1"), "x", receiver.address("many"))

    assert isinstance(ports["replicate"].find("reef-1", token, now), (Working, Finished))
    # Those without a webhook might be anybody's.
    ports["replicate"].submit(order("reef-1"), "x", "")
    assert ports["replicate"].find("reef-1", "0" * 32, now - 200_000) == Unknown(Reason.NOT_FOUND)


@pytest.mark.parametrize(("provider", "model"), [("replicate", "reef-1"), ("openrouter", "pearl-2")])
def test_an_inline_result_comes_with_the_answer(
    simulated: Providers, receiver: Receiver, provider: str, model: str
) -> None:
    port = make_ports(simulated, CONTROL_PLANE_REPLICATE_WAIT_SECONDS="5")[provider]
    _, done = place(port, receiver, order(model, output_format="webp"))

    assert isinstance(done, Finished)
    (output,) = done.outputs
    assert output.url.startswith("data:image/webp;base64,UklGR" if provider == "openrouter" else "http://127.0.0.1:")


def test_an_inline_answer_that_is_lost_is_unknown_for_good(simulated: Providers, receiver: Receiver) -> None:
    port = make_ports(simulated)["openrouter"]
    _, answer = place(port, receiver, order("pearl-2", "A poster simulate:any:hangs_up_after_work"))

    assert answer == Unknown(Reason.BROKEN)
    assert port.poll("pearl-2", "inline-x") == Unknown(Reason.UNSUPPORTED)


ASKING = [(Fault.POLL_ERRORS, Reason.SERVER_ERROR), (Fault.FORGETS, Reason.NOT_FOUND)]


@pytest.mark.parametrize(("fault", "reason"), ASKING, ids=[fault.value for fault, _ in ASKING])
@pytest.mark.parametrize(("provider", "model"), JOBS[1:3] + JOBS[4:], ids=IDS[1:3] + IDS[4:])
def test_a_question_without_an_answer_changes_nothing(
    ports: Ports, receiver: Receiver, fault: Fault, reason: Reason, provider: str, model: str
) -> None:
    port = ports[provider]
    _, taken = place(port, receiver, order(model, f"A reef simulate:any:{fault}"))
    assert isinstance(taken, Accepted)

    assert until(port, model, taken.provider_id, Unknown) == Unknown(reason)
    if fault is Fault.POLL_ERRORS:
        until(port, model, taken.provider_id, Finished)


def test_a_model_that_the_provider_does_not_sell_is_refused_without_asking(
    ports: Ports, simulated: Providers, receiver: Receiver
) -> None:
    before = simulated["fal"].ledger()

    assert place(ports["fal"], receiver, order("pearl-2"))[1] == Refused(Reason.INVALID_ORDER)
    assert place(ports["openrouter"], receiver, order("lagoon-3", output_number=2))[1] == Refused(Reason.INVALID_ORDER)
    assert simulated["fal"].ledger()["refused"] == before["refused"]


def test_a_wrong_token_and_a_provider_that_is_away_are_definite(simulated: Providers, receiver: Receiver) -> None:
    wrong = make_ports(simulated, CONTROL_PLANE_REPLICATE_TOKEN="wrong")["replicate"]
    away = make_ports(simulated, CONTROL_PLANE_REPLICATE_URL="http://127.0.0.1:1")["replicate"]

    assert place(wrong, receiver, order("reef-1"))[1] == Refused(Reason.CREDENTIALS)
    assert wrong.poll("reef-1", "x") == Unknown(Reason.CREDENTIALS)
    assert place(away, receiver, order("reef-1"))[1] == Refused(Reason.UNREACHABLE)
    assert away.poll("reef-1", "x") == Unknown(Reason.UNREACHABLE)


def test_an_order_asked_for_twice_is_done_twice_since_no_dialect_has_an_idempotency_key(
    ports: Ports, simulated: Providers, receiver: Receiver
) -> None:
    for provider, model in JOBS:
        token = secrets.token_hex(16)
        for _ in range(2):
            ports[provider].submit(order(model), token, receiver.address(token))
        assert len(jobs_of(simulated[provider], token)) == 2


def test_the_token_goes_to_the_api_and_nowhere_else(ports: Ports, simulated: Providers) -> None:
    own = simulated["openrouter"].url
    port = ports["openrouter"]

    assert port.download_headers(f"{own}/api/v1/videos/x/content") == {
        "Authorization": f"Bearer {simulated['openrouter'].token}"
    }
    for url in (
        "https://openrouter.ai.evil.example/",
        f"{own}0/api",
        own.replace("127.0.0.1", "localhost") + "/a",
        "::",
    ):
        assert port.download_headers(url) == {}
    for provider in ("replicate", "fal"):
        assert ports[provider].download_headers(simulated[provider].url + "/x") == {}


def test_a_quote_is_the_price_list_times_what_is_ordered(ports: Ports) -> None:
    assert ports["replicate"].quote(order("reef-1", output_number=4)).micro_usd == 12_000
    assert ports["replicate"].quote(order("current-1", duration=4)).micro_usd == 4 * 150_000
    assert ports["replicate"].quote(order("current-1", duration=4, generate_audio=False)).micro_usd == 400_000
    assert ports["fal"].quote(order("pearl-2")).micro_usd == 0
