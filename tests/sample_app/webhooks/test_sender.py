"""Webhooks to customers: signed as the standard says, tried by its schedule, never sent inside."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from sample_app.outbound.addresses import Reach
from sample_app.outbound.exchange import Outbound
from sample_app.webhooks.sender import WAITS_SECONDS, WebhookSender
from sample_app.webhooks.signatures import StandardWebhooks
from tests.sample_app.outbound.test_exchange import saying, serving

if TYPE_CHECKING:
    from sample_app.deliveries import Sent

OLD, NEW = (b"o" * 32, b"n" * 32)
SECRETS = " ".join("whsec_" + base64.b64encode(each).decode() for each in (NEW, OLD))
NOW_MS = 1_776_600_000_123
BODY = b'{"type":"generation.succeeded"}'


def send(url: str, *, private: bool = True, secret: str = SECRETS) -> Sent:
    return WebhookSender(Outbound(Reach(private=private))).send(url, secret, "evt_1", NOW_MS, BODY)


def answering(status: int, extra: bytes = b"") -> Any:
    return saying(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n%s\r\n" % (status, extra))


def test_it_is_signed_with_old_and_new_secret() -> None:
    with serving(answering(204)) as (url, heads):
        sent = send(f"{url}/hook?x=1")

    assert (sent.delivered, sent.outcome, sent.gone) == (True, "204", False)
    request, *lines = heads[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert request == "POST /hook?x=1 HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers["webhook-timestamp"] == "1776600000"
    for secret in (OLD, NEW):
        assert StandardWebhooks((secret,)).verify(headers, BODY, NOW_MS) == "evt_1"


STATUSES = [(200, True, False), (202, True, False), (302, False, False), (400, False, False), (404, False, False),
            (410, False, True), (429, False, False), (500, False, False)]  # fmt: skip


@pytest.mark.parametrize(("status", "delivered", "gone"), STATUSES)
def test_the_status_decides(status: int, delivered: bool, gone: bool) -> None:
    with serving(answering(status, b"Location: http://127.0.0.1:1/\r\n")) as (url, heads):
        sent = send(url)

    assert (sent.delivered, sent.outcome, sent.gone, len(heads)) == (delivered, str(status), gone, 1)


def test_a_body_that_never_ends_is_not_listened_to() -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 100_000)) as (url, _):
        assert send(url).delivered


INSIDE = [
    "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://0.0.0.0/", "https://192.168.0.1:8443/x",
]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE)
def test_nothing_is_sent_inside(url: str) -> None:
    sent = send(url, private=False)

    assert (sent.delivered, sent.outcome) == (False, "not_public")


def test_nothing_is_sent_in_the_clear() -> None:
    with serving(answering(200)) as (url, heads):
        sent = send(url, private=False)

    assert (sent.delivered, sent.outcome, heads) == (False, "not_https", [])


def test_nobody_there_and_no_secret_are_said() -> None:
    assert send("http://127.0.0.1:1/").outcome == "unreachable"
    assert send("http://127.0.0.1:1/", secret="whsec_x").outcome == "unusable_secret"


def test_the_schedule_is_the_standards() -> None:
    sender = WebhookSender(Outbound(Reach()))
    waits = [sender.wait_seconds(tries) for tries in range(1, 11)]

    assert waits == [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400, None]
    assert len(WAITS_SECONDS) == 9
