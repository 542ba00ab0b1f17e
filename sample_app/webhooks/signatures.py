"""Signatures on webhooks, made and checked on the raw bytes of the body. Nothing here parses a body.

Three schemes: Standard Webhooks (Replicate's, and that of our own webhooks), fal's and OpenRouter's. All cover a
timestamp, and none is accepted outside of ``TOLERANCE_SECONDS`` around now.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sample_app.providers.port import WebhookRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What all three documents recommend. Long enough for clocks that differ, short enough that a copied request is stale.
TOLERANCE_SECONDS: Final = 300
# A header with more signatures than keys anybody rotates is somebody trying.
SIGNATURES_MAX: Final = 8
HEADER_LENGTH_MAX: Final = 2_048
# Standard Webhooks, "Symmetric": "between 24 bytes (192 bits) and 64 bytes (512 bits)".
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64

_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_VISIBLE: Final = re.compile(r"[!-~]{1,255}", re.ASCII)
_HEX_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HEX_ED25519: Final = re.compile(r"[0-9a-f]{128}", re.ASCII)


def header(headers: Mapping[str, str], name: str) -> str:
    """One header, whatever the case of its name.

    Raises:
        WebhookRefused: if it is missing, longer than any of its kind, or not plain text.
    """
    found = next((value for given, value in headers.items() if given.lower() == name), "")
    if not found:
        raise WebhookRefused("missing_header")
    if len(found) > HEADER_LENGTH_MAX or not found.isascii():
        raise WebhookRefused("malformed_header")
    return found


def fresh_seconds(text: str, now_ms: int) -> int:
    """The moment that *text* names, in Unix seconds.

    Raises:
        WebhookRefused: if it is none, or not around now.
    """
    if not _SECONDS.fullmatch(text):
        raise WebhookRefused("malformed_header")
    if abs(now_ms / 1_000 - int(text)) > TOLERANCE_SECONDS:
        raise WebhookRefused("stale")
    return int(text)


def _same(given: str, expected: Iterable[str]) -> bool:
    return any(hmac.compare_digest(given.encode(), each.encode()) for each in expected)


def read_secret(text: str) -> bytes:
    """The bytes of a ``whsec_…`` secret.

    Raises:
        ValueError: if it is not one.
    """
    try:
        secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if not text.startswith("whsec_") or not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise ValueError("not whsec_ and 24 to 64 bytes")
    return secret


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """Standard Webhooks: HMAC-SHA256 (``v1``) with any of *secrets*, Ed25519 (``v1a``) with any of *public_keys*.

    The first secret signs. Several are for rotation: both sides have old and new for a while.
    """

    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    public_keys: tuple[bytes, ...] = ()

    def sign(self, event_id: str, seconds: int, body: bytes) -> str:
        """The value of ``webhook-signature``: a signature by each secret."""
        signed = _signed(event_id, seconds, body)
        return " ".join(f"v1,{_hmac_base64(secret, signed)}" for secret in self.secrets)

    def verify(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> str:
        """The event's id, if the request is signed.

        Raises:
            WebhookRefused: if it is not.
        """
        event_id = header(headers, "webhook-id")
        if not _VISIBLE.fullmatch(event_id):
            raise WebhookRefused("malformed_header")
        timestamp = header(headers, "webhook-timestamp")
        given = header(headers, "webhook-signature").split(" ")
        if len(given) > SIGNATURES_MAX:
            raise WebhookRefused("malformed_header")
        fresh_seconds(timestamp, now_ms)
        # Over the text as it was sent: a leading zero is not ours to drop.
        signed = f"{event_id}.{timestamp}.".encode() + body
        expected = [f"v1,{_hmac_base64(secret, signed)}" for secret in self.secrets]
        if not any(_same(each, expected) or self._by_key(each, signed) for each in given):
            raise WebhookRefused("bad_signature")
        return event_id

    def _by_key(self, given: str, signed: bytes) -> bool:
        version, _, text = given.partition(",")
        if version != "v1a":
            return False
        try:
            signature = base64.b64decode(text, validate=True)
        except binascii.Error:
            return False
        return any(ed25519_verifies(key, signature, signed) for key in self.public_keys)


def sign_v1a(private_key: bytes, event_id: str, seconds: int, body: bytes) -> str:
    """The value of ``webhook-signature`` by an Ed25519 key."""
    signature = Ed25519PrivateKey.from_private_bytes(private_key).sign(_signed(event_id, seconds, body))
    return f"v1a,{base64.b64encode(signature).decode()}"


def _signed(event_id: str, seconds: int, body: bytes) -> bytes:
    return f"{event_id}.{seconds}.".encode() + body


def _hmac_base64(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def ed25519_verifies(public_key: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether the signature is the key's. A key or signature of a wrong length is not."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class FalHeaders:
    """What fal signs: request id, user id, timestamp and the body's digest, one a line, with Ed25519."""

    request_id: str
    signature: bytes
    signed: bytes

    @classmethod
    def read(cls, headers: Mapping[str, str], body: bytes, now_ms: int) -> FalHeaders:
        """Read a request's headers; the signature is still to be checked.

        Raises:
            WebhookRefused: if they are missing, malformed or stale.
        """
        request_id = header(headers, "x-fal-webhook-request-id")
        user_id = header(headers, "x-fal-webhook-user-id")
        timestamp = header(headers, "x-fal-webhook-timestamp")
        signature = header(headers, "x-fal-webhook-signature")
        if not (_VISIBLE.fullmatch(request_id) and _VISIBLE.fullmatch(user_id) and _HEX_ED25519.fullmatch(signature)):
            raise WebhookRefused("malformed_header")
        fresh_seconds(timestamp, now_ms)
        return cls(request_id, bytes.fromhex(signature), fal_signed(request_id, user_id, timestamp, body))


def fal_signed(request_id: str, user_id: str, timestamp: str, body: bytes) -> bytes:
    """The bytes that fal signs."""
    return "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())).encode()


def openrouter_sign(secret: bytes, seconds: int | str, body: bytes) -> str:
    """The hexadecimal signature of OpenRouter: HMAC-SHA256 over timestamp, comma, body."""
    return hmac.digest(secret, f"{seconds},".encode() + body, "sha256").hex()


def openrouter_verify(secrets: tuple[bytes, ...], headers: Mapping[str, str], body: bytes, now_ms: int) -> None:
    """Check ``X-OpenRouter-Signature: t=…,v1=…`` with any of *secrets*.

    Raises:
        WebhookRefused: if the request is not signed by one of them, or stale.
    """
    parts = header(headers, "x-openrouter-signature").split(",")
    pairs = [part.partition("=") for part in parts]
    moments = [value for name, _, value in pairs if name == "t"]
    given = [value for name, _, value in pairs if name == "v1" and _HEX_SHA256.fullmatch(value)]
    if len(parts) > SIGNATURES_MAX or len(moments) != 1 or not given:
        raise WebhookRefused("malformed_header")
    fresh_seconds(moments[0], now_ms)
    expected = [openrouter_sign(secret, moments[0], body) for secret in secrets]
    if not any(_same(each, expected) for each in given):
        raise WebhookRefused("bad_signature")
