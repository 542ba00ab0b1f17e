"""Signatures on webhooks: what is believed, what is not and why, rotation, replay; and that no bytes are an error."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sample_app.outbound.addresses import Reach
from sample_app.outbound.exchange import Answer, Lost, Outbound
from sample_app.providers.calls import Api
from sample_app.providers.fal import Fal
from sample_app.providers.openrouter import OpenRouter
from sample_app.providers.port import Failed, Finished, Notice, Unknown, WebhookRefused, Working
from sample_app.providers.replicate import Replicate
from sample_app.webhooks.key_set import ASK_AGAIN_MS, KEEP_MS, KeySet, read_keys
from sample_app.webhooks.signatures import (
    TOLERANCE_SECONDS,
    StandardWebhooks,
    fal_signed,
    openrouter_sign,
    openrouter_verify,
    read_secret,
    sign_v1a,
)

if TYPE_CHECKING:
    from sample_app.providers.port import ProviderPort

NOW = 1_776_600_000
NOW_MS = NOW * 1_000
OLD, NEW = b"o" * 32, b"n" * 32
PRIVATE = b"p" * 32
PUBLIC = Ed25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()
BODY = b'{"id": "job-1",  "status": "starting"}'
VERIFIER = StandardWebhooks((NEW, OLD), (PUBLIC,))


def signed(secret: bytes = NEW, event_id: str = "msg_1", at: int = NOW, body: bytes = BODY) -> dict[str, str]:
    return {
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": StandardWebhooks((secret,)).sign(event_id, at, body),
    }


def refusal(headers: dict[str, str], body: bytes = BODY, now_ms: int = NOW_MS) -> str:
    with pytest.raises(WebhookRefused) as caught:
        VERIFIER.verify(headers, body, now_ms)
    return caught.value.why


def test_the_signature_is_that_of_the_standard() -> None:
    # Worked out here by the words of the specification, not by the code under test.
    secret = "whsec_" + base64.b64encode(NEW).decode()
    mac = hmac.new(NEW, b"msg_1.1776600000." + BODY, hashlib.sha256).digest()

    assert signed()["Webhook-Signature"] == "v1," + base64.b64encode(mac).decode()
    assert read_secret(secret) == NEW


def test_old_and_new_secret_and_a_public_key_are_believed() -> None:
    assert VERIFIER.verify(signed(NEW), BODY, NOW_MS) == "msg_1"
    assert VERIFIER.verify(signed(OLD), BODY, NOW_MS) == "msg_1"
    asymmetric = signed() | {"Webhook-Signature": sign_v1a(PRIVATE, "msg_1", NOW, BODY)}
    assert VERIFIER.verify(asymmetric, BODY, NOW_MS) == "msg_1"
    several = signed() | {"Webhook-Signature": f"v1,{'A' * 44} v9,x " + signed()["Webhook-Signature"]}
    assert VERIFIER.verify(several, BODY, NOW_MS) == "msg_1"


def test_with_two_secrets_both_sign() -> None:
    both = StandardWebhooks((NEW, OLD)).sign("msg_1", NOW, BODY)

    for secret in (NEW, OLD):
        headers = signed() | {"Webhook-Signature": both}
        assert StandardWebhooks((secret,)).verify(headers, BODY, NOW_MS) == "msg_1"


REFUSED = [
    ("no id", {"Webhook-Id": ""}, "missing_header"),
    ("no timestamp", {"Webhook-Timestamp": ""}, "missing_header"),
    ("no signature", {"Webhook-Signature": ""}, "missing_header"),
    ("another id", {"Webhook-Id": "msg_2"}, "bad_signature"),
    ("another moment", {"Webhook-Timestamp": str(NOW - 1)}, "bad_signature"),
    ("leading zero", {"Webhook-Timestamp": f"0{NOW}"}, "bad_signature"),
    ("too old", {"Webhook-Timestamp": str(NOW - TOLERANCE_SECONDS - 1)}, "stale"),
    ("too new", {"Webhook-Timestamp": str(NOW + TOLERANCE_SECONDS + 1)}, "stale"),
    ("negative", {"Webhook-Timestamp": f"-{NOW}"}, "malformed_header"),
    ("a float", {"Webhook-Timestamp": f"{NOW}.0"}, "malformed_header"),
    ("huge", {"Webhook-Timestamp": "9" * 400}, "malformed_header"),
    ("other digits", {"Webhook-Timestamp": "\u0661" * 10}, "malformed_header"),
    ("id with spaces", {"Webhook-Id": "msg 1"}, "malformed_header"),
    ("long id", {"Webhook-Id": "m" * 256}, "malformed_header"),
    ("no version", {"Webhook-Signature": signed()["Webhook-Signature"][3:]}, "bad_signature"),
    ("other version", {"Webhook-Signature": "v2" + signed()["Webhook-Signature"][2:]}, "bad_signature"),
    ("empty signature", {"Webhook-Signature": "v1,"}, "bad_signature"),
    ("upper case", {"Webhook-Signature": signed()["Webhook-Signature"].upper()}, "bad_signature"),
    ("cut", {"Webhook-Signature": signed()["Webhook-Signature"][:-1]}, "bad_signature"),
    ("hmac as v1a", {"Webhook-Signature": "v1a" + signed()["Webhook-Signature"][2:]}, "bad_signature"),
    ("v1a of another key", {"Webhook-Signature": sign_v1a(b"q" * 32, "msg_1", NOW, BODY)}, "bad_signature"),
    ("v1a no base64", {"Webhook-Signature": "v1a,!"}, "bad_signature"),
    ("nine signatures", {"Webhook-Signature": " ".join([signed()["Webhook-Signature"]] * 9)}, "malformed_header"),
    ("long signature", {"Webhook-Signature": "v1," + "A" * 4_000}, "malformed_header"),
    ("foreign secret", {"Webhook-Signature": signed(b"x" * 32)["Webhook-Signature"]}, "bad_signature"),
]


@pytest.mark.parametrize(("changed", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_is_not_believed(changed: dict[str, str], why: str) -> None:
    assert refusal(signed() | changed) == why


def test_all_refusals_were_there() -> None:
    assert len(REFUSED) == 25


def test_the_bytes_count_and_not_what_they_mean() -> None:
    assert json.loads(BODY) == json.loads(json.dumps(json.loads(BODY)))
    assert refusal(signed(), json.dumps(json.loads(BODY)).encode()) == "bad_signature"
    assert refusal(signed(), BODY + b" ") == "bad_signature"


def test_a_copied_request_is_stale_after_a_while() -> None:
    headers = signed()
    VERIFIER.verify(headers, BODY, NOW_MS + TOLERANCE_SECONDS * 1_000)

    assert refusal(headers, now_ms=NOW_MS + TOLERANCE_SECONDS * 1_000 + 1) == "stale"


def test_nothing_is_believed_without_a_secret() -> None:
    with pytest.raises(WebhookRefused):
        StandardWebhooks().verify(signed(b""), BODY, NOW_MS)
    with pytest.raises(WebhookRefused):
        openrouter_verify((), {"x-openrouter-signature": f"t={NOW},v1={openrouter_sign(b'', NOW, BODY)}"}, BODY, NOW_MS)


SECRETS = ["", "whsec_", "whsec_!!!!", "whsec_" + base64.b64encode(b"x" * 23).decode(), base64.b64encode(NEW).decode(),
           "whsec_" + base64.b64encode(b"x" * 65).decode(), "WHSEC_" + base64.b64encode(NEW).decode()]  # fmt: skip


@pytest.mark.parametrize("text", SECRETS, ids=range(len(SECRETS)))
def test_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        read_secret(text)


OPENROUTER = [
    ("right", f"t={NOW},v1={openrouter_sign(NEW, NOW, BODY)}", None),
    ("old secret", f"t={NOW},v1={openrouter_sign(OLD, NOW, BODY)}", None),
    ("two, one right", f"t={NOW},v1={'0' * 64},v1={openrouter_sign(NEW, NOW, BODY)}", None),
    ("other secret", f"t={NOW},v1={openrouter_sign(b'x' * 32, NOW, BODY)}", "bad_signature"),
    ("other moment", f"t={NOW - 1},v1={openrouter_sign(NEW, NOW, BODY)}", "bad_signature"),
    ("too old", f"t={NOW - 301},v1={openrouter_sign(NEW, NOW - 301, BODY)}", "stale"),
    ("no moment", f"v1={openrouter_sign(NEW, NOW, BODY)}", "malformed_header"),
    ("two moments", f"t={NOW},t={NOW},v1={openrouter_sign(NEW, NOW, BODY)}", "malformed_header"),
    ("no signature", f"t={NOW}", "malformed_header"),
    ("not hex", f"t={NOW},v1={'z' * 64}", "malformed_header"),
    ("many", f"t={NOW}," + ",".join(["v1=" + "0" * 64] * 9), "malformed_header"),
    ("empty", "", "missing_header"),
]


@pytest.mark.parametrize(("value", "why"), [case[1:] for case in OPENROUTER], ids=[case[0] for case in OPENROUTER])
def test_openrouters_signature(value: str, why: str | None) -> None:
    headers = {"X-OpenRouter-Signature": value}
    if why is None:
        openrouter_verify((NEW, OLD), headers, BODY, NOW_MS)
        return
    with pytest.raises(WebhookRefused) as caught:
        openrouter_verify((NEW, OLD), headers, BODY, NOW_MS)
    assert caught.value.why == why


def jwk(public: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(public).decode().rstrip("=")}


class Published:
    """Keys at an address, and how often they were asked for. No network in it: `test_dialects` has the real thing."""

    def __init__(self, *keys: bytes) -> None:
        self.keys, self.asked, self.away = list(keys), 0, False

    def exchange(self, *_arguments: object, **_options: object) -> Answer:
        self.asked += 1
        if self.away:
            raise Lost("timed_out")
        return Answer(200, {}, json.dumps({"keys": [jwk(key) for key in self.keys]}).encode())


def fal(published: Published, now: list[int]) -> Fal:
    clock = lambda: now[0]  # noqa: E731
    outbound = Outbound(Reach())
    return Fal(Api("https://queue.fal.run", "Key x", outbound), {}, KeySet("https://x/", published, clock), clock)  # type: ignore[arg-type]


def fal_headers(body: bytes, private: bytes = PRIVATE, at: int = NOW) -> dict[str, str]:
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(fal_signed("req-1", "user", str(at), body))
    return {
        "X-Fal-Webhook-Request-Id": "req-1",
        "X-Fal-Webhook-User-Id": "user",
        "X-Fal-Webhook-Timestamp": str(at),
        "X-Fal-Webhook-Signature": signature.hex(),
    }


FAL_BODY = b'{"request_id": "req-1", "status": "OK", "payload": {"images": [{"url": "https://fal.media/x.png"}]}}'


def test_fals_keys_are_fetched_once_and_anew_when_they_change() -> None:
    now, published = [NOW_MS], Published(PUBLIC)
    port = fal(published, now)
    for _ in range(3):
        assert isinstance(port.read_webhook(fal_headers(FAL_BODY), FAL_BODY).progress, Finished)
    assert published.asked == 1

    other = b"q" * 32
    published.keys = [Ed25519PrivateKey.from_private_bytes(other).public_key().public_bytes_raw()]
    now[0] += ASK_AGAIN_MS
    headers = fal_headers(FAL_BODY, other, now[0] // 1_000)
    assert port.read_webhook(headers, FAL_BODY).event_id == "req-1"
    assert published.asked == 2


def test_forgers_do_not_make_us_ask_for_keys_at_will() -> None:
    now, published = [NOW_MS], Published(PUBLIC)
    port = fal(published, now)
    for _ in range(50):
        with pytest.raises(WebhookRefused, match="bad_signature"):
            port.read_webhook(fal_headers(FAL_BODY, b"f" * 32), FAL_BODY)
    assert published.asked == 1


def test_keys_are_used_while_their_address_is_away_and_not_for_ever() -> None:
    now, published = [NOW_MS], Published(PUBLIC)
    port = fal(published, now)
    port.read_webhook(fal_headers(FAL_BODY), FAL_BODY)
    published.away = True
    now[0] += KEEP_MS
    port.read_webhook(fal_headers(FAL_BODY, at=now[0] // 1_000), FAL_BODY)
    now[0] += ASK_AGAIN_MS
    with pytest.raises(WebhookRefused):
        port.read_webhook(fal_headers(FAL_BODY, at=now[0] // 1_000), FAL_BODY)


def test_fals_body_must_name_the_signed_request() -> None:
    body = FAL_BODY.replace(b"req-1", b"req-2")
    with pytest.raises(WebhookRefused, match="unreadable"):
        fal(Published(PUBLIC), [NOW_MS]).read_webhook(fal_headers(body), body)
    with pytest.raises(WebhookRefused, match="bad_signature"):
        fal(Published(PUBLIC), [NOW_MS]).read_webhook(fal_headers(FAL_BODY), body)


@given(
    st.binary(max_size=200) | st.just(json.dumps({"keys": [1, {}, {"kty": "OKP"}, jwk(b"x"), jwk(PUBLIC)]}).encode())
)
def test_a_key_set_of_any_shape_has_keys_or_none(body: bytes) -> None:
    assert read_keys(body) in ((), (PUBLIC,))


TEXT = st.text(max_size=20)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["webhook-id", "webhook-timestamp", "webhook-signature", "x-openrouter-signature", "x-fal-webhook-request-id",
         "x-fal-webhook-user-id", "x-fal-webhook-timestamp", "x-fal-webhook-signature", "other"]
    ),
    TEXT | st.just(str(NOW)) | st.just("0" * 128) | st.just("v1,AAAA") | st.just(f"t={NOW},v1={'0' * 64}"),
)  # fmt: skip
OUTBOUND = Outbound(Reach())
PORTS = [
    Replicate(Api("https://x", "", OUTBOUND), {}, VERIFIER, lambda: NOW_MS),
    OpenRouter(Api("https://x", "", OUTBOUND), {}, (NEW,), lambda: NOW_MS),
]


@given(HEADERS, st.binary(max_size=100))
def test_any_request_without_a_signature_is_refused(headers: dict[str, str], body: bytes) -> None:
    for port in [*PORTS, fal(Published(PUBLIC), [NOW_MS])]:
        with pytest.raises(WebhookRefused):
            port.read_webhook(headers, body)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(
    ["succeeded", "failed", "completed", "OK", "ERROR", "starting", "canceled", "https://x/y", "req-1"]
)  # fmt: skip
SHAPES = st.dictionaries(
    st.sampled_from(["id", "status", "output", "error", "request_id", "payload", "data", "usage", "cost", "images",
                     "url", "unsigned_urls", "urls", "payload_error", "detail"]),
    st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "status", "url", "usage", "cost", "images", "video", "detail"]), inner, max_size=4)),
    max_size=6,
)  # fmt: skip


def read_or_why(port: ProviderPort, headers: dict[str, str], body: bytes) -> Notice | str:
    try:
        return port.read_webhook(headers, body)
    except WebhookRefused as refused:
        return refused.why


@given(SHAPES)
def test_a_signed_report_of_any_shape_is_read_or_refused(shape: dict[str, object]) -> None:
    body = json.dumps(shape).encode()
    openrouter = {"x-openrouter-signature": f"t={NOW},v1={openrouter_sign(NEW, NOW, body)}"}
    for port, headers in (
        (PORTS[0], signed(body=body)),
        (PORTS[1], openrouter),
        (fal(Published(PUBLIC), [NOW_MS]), fal_headers(body)),
    ):
        notice = read_or_why(port, headers, body)
        if notice == "unreadable":
            continue
        assert isinstance(notice, Notice)
        assert isinstance(notice.progress, (Working, Finished, Failed, Unknown))
        assert 0 < len(notice.event_id) <= 255
