"""A provider's published keys (JWKS, RFC 7517), fetched when needed and kept for a while."""

from __future__ import annotations

import base64
import binascii
import json
import threading
from typing import TYPE_CHECKING, Final

from sample_app.clock import DAY_MS, SECOND_MS
from sample_app.outbound.exchange import Bounds, Lost, NotSent

if TYPE_CHECKING:
    from sample_app.clock import Clock
    from sample_app.outbound.exchange import Outbound

# fal: "cache the keys for at most 24 hours".
KEEP_MS: Final = DAY_MS
# A signature by an unknown key may mean that the keys are new, or be forged; forgers must not make us ask at will.
ASK_AGAIN_MS: Final = 60 * SECOND_MS
KEYS_MAX: Final = 32
# Somebody's report waits for them.
BOUNDS: Final = Bounds(connect_seconds=3.0, total_seconds=5.0, answer_bytes_max=65_536)


class KeySet:
    """The Ed25519 keys behind one address. Shared by threads.

    One thread asks; those that have keys do not wait for it, so that forged requests do not hold threads while the
    keys' server is slow.
    """

    def __init__(self, url: str, outbound: Outbound, clock: Clock) -> None:
        """Remember where the keys are; nothing is fetched yet."""
        self._url = url
        self._outbound = outbound
        self._clock = clock
        self._asking = threading.Lock()
        self._kept: tuple[int, tuple[bytes, ...]] | None = None
        self._asked_at: int | None = None

    def keys(self) -> tuple[bytes, ...]:
        """The keys, fetched if there are none or they are too old. Empty if they cannot be had."""
        current = self._current()
        if not current:
            with self._asking:
                self._ask()
            current = self._current()
        return current

    def newer_keys(self) -> tuple[bytes, ...]:
        """The keys, fetched again unless that was done a moment ago or is being done."""
        if self._asking.acquire(blocking=False):
            try:
                self._ask()
            finally:
                self._asking.release()
        return self._current()

    def _current(self) -> tuple[bytes, ...]:
        """The keys that there are, unless they are too old: one that was taken back must not sign for ever."""
        kept = self._kept
        return kept[1] if kept is not None and self._clock() - kept[0] <= KEEP_MS else ()

    def _ask(self) -> None:
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < ASK_AGAIN_MS:
            return
        self._asked_at = now
        try:
            answer = self._outbound.exchange("GET", self._url, {"Accept": "application/json"}, bounds=BOUNDS)
        except (NotSent, Lost):
            return
        found = read_keys(answer.body) if answer.status == 200 else ()
        if found:
            self._kept = (now, found)


def read_keys(body: bytes) -> tuple[bytes, ...]:
    """The Ed25519 keys in a key set; those of other kinds, and what cannot be read, are left out."""
    try:
        loaded = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    listed = loaded.get("keys") if isinstance(loaded, dict) else None
    if not isinstance(listed, list):
        return ()
    return tuple(key for entry in listed[:KEYS_MAX] if (key := _read_key(entry)) is not None)


def _read_key(entry: object) -> bytes | None:
    # RFC 8037, section 2: "The parameter "kty" MUST be "OKP"", "x" holds the public key in base64url.
    if not isinstance(entry, dict) or entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519":
        return None
    text = entry.get("x")
    if not isinstance(text, str):
        return None
    try:
        key = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return key if len(key) == 32 else None
