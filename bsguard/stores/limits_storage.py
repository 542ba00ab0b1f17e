"""Our stores as storages of the `limits` library: a Flask-Limiter counts right across workers without a server.

Importing this module is enough: `limits` registers what has a scheme. ``bsguard+local:///folder`` keeps the counts in
LMDB (in SQLite where LMDB is not installed), ``bsguard+sqlite:///folder`` in SQLite. Redis has its own storage there.
"""

from __future__ import annotations

import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import unquote, urlsplit

from limits.errors import ConfigurationError
from limits.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage

from bsguard.core.clock import SYSTEM_CLOCK
from bsguard.core.errors import StateUnusable
from bsguard.stores import windows
from bsguard.stores.folder import open_folder
from bsguard.stores.opened import OPENED

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate, ParamSpec, TypeVar

    from bsguard.core.clock import Clock
    from bsguard.stores.lmdb_file import LMDBFile
    from bsguard.stores.rows import RowFile
    from bsguard.stores.windows import Buckets

    P = ParamSpec("P")
    T = TypeVar("T")

#: Size of the LMDB file. Full tables take 48 MiB; the rest is for the copies that LMDB writes.
MAP_BYTES: Final = 64 * 1024 * 1024

_SETTING: Final = "RATELIMIT_STORAGE_URI"
#: Names the folder where neither the address nor an option does.
_VARIABLE: Final = "BSGUARD_STATE_DIR"
_DEFAULT_FOLDER: Final = ".bsguard"
_SECOND_US: Final = 1_000_000

_log = logging.getLogger("bsguard")


class SharedStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """Counts across all threads and processes of this machine that name the same folder, all strategies exactly.

    *uri* is ``bsguard+local:///folder``; without a folder it is that of the option *state_dir*, else of the environment
    variable ``BSGUARD_STATE_DIR``, else ``.bsguard`` in the working directory. Raises
    ``limits.errors.ConfigurationError`` for what cannot be meant, and ``limits.errors.StorageError`` when it cannot
    count (with *wrap_exceptions* false the :class:`~bsguard.core.errors.StateUnusable` within).
    """

    STORAGE_SCHEME: ClassVar[list[str]] = ["bsguard+local", "bsguard+sqlite"]  # type: ignore[misc]

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = True,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        **options: Any,
    ) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        if options:
            raise ConfigurationError(f"bsguard's storage has the option state_dir, not {', '.join(sorted(options))}")
        scheme, folder = _place(uri or "bsguard+local://", state_dir)
        self.folder = folder
        self._clock = clock
        self._ready = False
        self._file = _file(scheme, folder)
        OPENED.add(self)
        try:
            self._open_folder()
        except StateUnusable as error:
            _log.error("Flask-Limiter cannot count: %s. It is tried again at each use.", error)
        else:
            _log.info("Flask-Limiter counts in %s", self._file.path)

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """What is wrapped into a ``StorageError``."""
        return StateUnusable

    # Fixed window

    def incr(self, key: str, expiry: int, amount: int = 1, *, elastic_expiry: bool = False) -> int:
        """Count *amount* in the window of *key*, which lasts *expiry* seconds from its first hit; the count then.

        *elastic_expiry*: from its last hit (`limits` before 5.0).
        """
        return self._step(windows.add, key, expiry * _SECOND_US, amount, renew=elastic_expiry)

    def get(self, key: str) -> int:
        """The count of the window of *key*."""
        return self._step(windows.fixed, key)[0]

    def get_expiry(self, key: str) -> float:
        """When the window of *key* ends, in seconds since the epoch; now, if there is none."""
        return self._step(windows.fixed, key)[1] / _SECOND_US

    # Moving window

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count *amount* in the last *expiry* seconds of *key* if no more than *limit* are in them then."""
        return self._step(windows.take_moving, key, limit, expiry * _SECOND_US, amount)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """When the oldest hit of the last *expiry* seconds was (now, if there is none), and how many there are."""
        start_us, count = self._step(windows.moving, key, expiry * _SECOND_US)
        return start_us / _SECOND_US, count

    # Sliding window counter

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count *amount* if the weighted count of this window and the one before allows it."""
        return self._step(windows.take_sliding, key, limit, expiry * _SECOND_US, amount)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Of the window before and of this one, the count and in how many seconds it does not matter any more."""
        previous, current, left_us = self._step(windows.sliding, key, expiry * _SECOND_US)
        left = left_us / _SECOND_US
        return previous, left if previous else 0.0, current, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002
        """Forget the sliding window counter of *key*, which holds its *expiry* already."""
        self._step(windows.forget_sliding, key)

    # All of them

    def clear(self, key: str) -> None:
        """Forget all windows of *key*: older releases of `limits` clear sliding window counters with this, too."""
        self._step(windows.forget, key)

    def reset(self) -> int | None:
        """Forget everything that is counted in this folder; how much that was is not known."""
        self._open_folder()
        self._file.clear()
        return None

    def check(self) -> bool:
        """Whether it can count."""
        try:
            self._step(windows.fixed, "")
        except StateUnusable:
            return False
        return True

    def _step(self, step: Callable[Concatenate[Buckets, int, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if not self._ready:
            self._open_folder()
        try:
            return self._file.step(_timed, self._clock, step, *args, **kwargs)
        except StateUnusable:
            self._ready = False  # it may be the folder that is gone
            raise

    def _open_folder(self) -> None:
        open_folder(self.folder, setting=_SETTING)
        self._ready = True


def _timed(
    buckets: Buckets,
    clock: Clock,
    step: Callable[Concatenate[Buckets, int, P], T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Read the time inside the transaction, so that from one step to the next it does not run backwards."""
    return step(buckets, int(clock.now() * _SECOND_US), *args, **kwargs)


def _place(uri: str, state_dir: str | os.PathLike[str] | None) -> tuple[str, Path]:
    """The scheme and the folder that *uri* names, or whoever else names it."""
    parts = urlsplit(uri)
    if parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(f"wanted {parts.scheme}:///folder with three strokes and nothing behind the folder")
    named = [Path(unquote(parts.path))] if parts.path.strip("/") else []
    named += [Path(state_dir)] if state_dir else []
    if len(named) > 1:
        raise ConfigurationError("the storage's folder is named twice: in its address and in the option state_dir")
    variable = os.environ.get(_VARIABLE)
    if not named and variable:
        named = [Path(variable)]
    folder = named[0].expanduser() if named else Path(_DEFAULT_FOLDER).absolute()
    if not folder.is_absolute():  # workers may differ in their working directory, and would count apart
        raise ConfigurationError("wanted an absolute folder for the storage, such as bsguard+local:///var/lib/app")
    return parts.scheme, folder


def _file(scheme: str, folder: Path) -> LMDBFile | RowFile:
    if scheme == "bsguard+local" and find_spec("lmdb") is not None:
        from bsguard.stores.lmdb_file import lmdb_file

        return lmdb_file(folder / "limits.lmdb", MAP_BYTES)
    from bsguard.stores.rows import RowFile

    return RowFile(folder / "limits.sqlite")
