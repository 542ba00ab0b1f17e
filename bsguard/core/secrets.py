"""Keys derived from the operator's secrets: every use has its own, by label."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import lru_cache

_IDENTITY_BYTES = 8


@dataclass(frozen=True, slots=True)
class Secrets:
    """The operator's secrets, newest first. What is made now uses the newest; what is checked may use any."""

    keys: tuple[str, ...] = field(repr=False)

    def derive(self, label: str) -> tuple[bytes, ...]:
        """One 32-byte key per secret for the use named *label*, newest first (HKDF-like: HMAC-SHA256 of the label)."""
        return tuple(
            hmac.new(key.encode("utf-8"), b"bsguard:" + label.encode("utf-8"), hashlib.sha256).digest()
            for key in self.keys
        )


@lru_cache(maxsize=16)
def identity_key(keys: tuple[str, ...]) -> bytes | None:
    """The key under which identities are hashed; None without secrets."""
    return next(iter(Secrets(keys).derive("identity")), None)


def keyed_hash(key: bytes, text: str) -> str:
    """A short keyed hash of *text*, 16 hexadecimal digits: tells identities apart without storing them."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_IDENTITY_BYTES, key=key).hexdigest()
