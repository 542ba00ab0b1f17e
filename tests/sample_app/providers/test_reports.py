"""Reports of the simulated providers: forged, twice, out of order, early, repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sample_app.providers.port import Accepted, Finished, WebhookRefused, Working
from tests.sample_app.providers.conftest import read, until
from tests.sample_app.providers.support import IDS, JOBS, order, place

if TYPE_CHECKING:
    from tests.sample_app.providers.conftest import Receiver
    from tests.sample_app.providers.support import Ports, Providers


@pytest.mark.parametrize(("provider", "model"), JOBS, ids=IDS)
def test_a_forged_report_is_refused_and_the_true_one_is_not(
    ports: Ports, receiver: Receiver, provider: str, model: str
) -> None:
    port = ports[provider]
    token, _ = place(port, receiver, order(model, "A reef simulate:any:webhook_forged"))
    deliveries = receiver.wait(token, 3 if provider == "replicate" else 2)

    with pytest.raises(WebhookRefused) as caught:
        read(port, deliveries[-2])
    assert caught.value.why == "bad_signature"
    assert isinstance(read(port, deliveries[-1]).progress, Finished)


@pytest.mark.parametrize(("provider", "model"), JOBS, ids=IDS)
def test_a_report_that_comes_twice_has_one_id(ports: Ports, receiver: Receiver, provider: str, model: str) -> None:
    port = ports[provider]
    token, _ = place(port, receiver, order(model, "A reef simulate:any:webhook_twice"))
    ends = receiver.wait(token, 3 if provider == "replicate" else 2)[-2:]

    assert len({read(port, delivery).event_id for delivery in ends}) == 1


def test_replicate_may_report_the_beginning_after_the_end(ports: Ports, receiver: Receiver) -> None:
    token, _ = place(ports["replicate"], receiver, order("reef-1", "A reef simulate:any:webhook_out_of_order"))
    first, second = (read(ports["replicate"], delivery) for delivery in receiver.wait(token, 2))

    assert isinstance(first.progress, Finished)
    assert isinstance(second.progress, Working)
    assert first.event_id != second.event_id


@pytest.mark.parametrize(("provider", "model"), JOBS, ids=IDS)
def test_a_report_may_overtake_the_answer(ports: Ports, receiver: Receiver, provider: str, model: str) -> None:
    token, taken = place(ports[provider], receiver, order(model, "A reef simulate:any:webhook_overtakes"))

    assert isinstance(taken, (Accepted, Finished))
    assert receiver.wait(token, seconds=0.01)


def test_a_report_is_repeated_until_it_is_taken(ports: Ports, receiver: Receiver) -> None:
    receiver.status = 503
    token, _ = place(ports["fal"], receiver, order("reef-1"))
    receiver.wait(token, 2)
    receiver.status = 200
    deliveries = receiver.wait(token, 3)

    assert len({read(ports["fal"], delivery).event_id for delivery in deliveries}) == 1


def test_without_a_public_address_nothing_is_reported(ports: Ports, simulated: Providers) -> None:
    for provider, model in JOBS:
        taken = ports[provider].submit(order(model), "x" * 32, "")
        assert isinstance(taken, Accepted)
        until(ports[provider], model, taken.provider_id, Finished)
