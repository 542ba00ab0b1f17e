"""The storage for `limits`, as tests want it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from limits.storage import storage_from_string

from bsguard.stores.limits_storage import SharedStorage

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("local", "sqlite")


def usable(kind: str) -> str:
    """The kind, where what it needs is installed."""
    if kind == "local":
        pytest.importorskip("lmdb")

    return kind


def opened(kind: str, folder: Path, **options: Any) -> SharedStorage:
    """A storage as Flask-Limiter makes it."""
    made = storage_from_string(f"bsguard+{kind}://{folder}", **options)
    assert isinstance(made, SharedStorage)

    return made
