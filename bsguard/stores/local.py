"""The store in an LMDB file: exact across all processes of this machine, no server, some microseconds a request.

The file lies in memory (a folder of ``/dev/shm``) where that is large enough, else in the state directory. It has a
fixed size and its room is taken at the start, so that it can neither grow nor find the file system full. A process
that is killed in the middle of a step leaves no lock behind and no half of a step: LMDB's writer lock is a robust
mutex, and a step is one transaction.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final

import lmdb

from bsguard.core.errors import StateUnusable
from bsguard.stores import table
from bsguard.stores.fork import in_each_child
from bsguard.stores.sqlite import lock_within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeVar

    from bsguard.stores.port import Ban, Change, Counter, Reach, Taken

    T = TypeVar("T")

#: Size of the file: twice what the full table needs, because LMDB writes copies. Half of what containers give
#: ``/dev/shm`` by default.
MAP_BYTES: Final = 32 * 1024 * 1024

#: How long it may take a worker to notice that the file was deleted, as systemd does when a user logs out.
LOOK_SECONDS: Final = 1.0

#: The file itself is wrong; anything else concerns one transaction.
_DAMAGED: Final = (
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
)


class LocalStore:
    """Counts across all processes of this machine that name the same private *folder*."""

    name: ClassVar[str] = "local"
    reach: ClassVar[Reach] = "machine"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "table.lmdb"
        self._guard = folder / "table.lock"
        self._lock = threading.Lock()
        self._environment: lmdb.Environment | None = None
        self._inherited: lmdb.Environment | None = None
        self._inode = -1
        self._looked = 0.0
        in_each_child(self._forget)

    def take(
        self, now_us: int, counters: Sequence[Counter], marks: Sequence[bytes] = (), bans: Sequence[Ban] = (), /
    ) -> Taken:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:  # LMDB has one writer at a time anyway, and nobody closes what is in use
            try:
                with self._opened().begin(write=True) as buckets:
                    return table.take(buckets, now_us, counters, marks, bans)
            except lmdb.Error as error:
                raise self._unusable(error) from None

    def settle(self, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]] = (), /) -> list[int]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._step(lambda buckets: table.settle(buckets, now_us, changes, marks))

    def ban(self, now_us: int, key: bytes, until_us: int, /) -> None:
        """See :class:`~bsguard.stores.port.Store`."""
        self._step(lambda buckets: table.ban(buckets, now_us, key, until_us))

    def reset(self) -> None:
        """Forget everything."""
        self._step(lambda buckets: buckets.drop(self._opened().open_db(txn=buckets), delete=False))

    def close(self) -> None:
        """Close what this process holds; the next use opens it again."""
        with self._lock:
            self._close()

    def _step(self, step: Callable[[lmdb.Transaction[bytes]], T]) -> T:
        with self._lock:
            try:
                with self._opened().begin(write=True) as buckets:
                    return step(buckets)
            except lmdb.Error as error:
                raise self._unusable(error) from None

    def _opened(self) -> lmdb.Environment:
        """The environment of this process."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if self._environment is not None and not self._still_there():
                self._close()
        if self._environment is None:
            self._environment = self._open()
        return self._environment

    def _open(self) -> lmdb.Environment:
        if self._inherited is not None:
            self._inherited.close()  # a process cannot open what it has open, and this one has its parent's
            self._inherited = None
        try:
            with self._guard.open("w") as guard:
                lock_within(guard)
                if self.path.exists() and self.path.stat().st_size != MAP_BYTES:
                    self._set_aside()  # somebody has cut it: reading what is not there would kill the process
                try:
                    return self._open_file()
                except _DAMAGED:
                    self._set_aside()
                    return self._open_file()
        except (lmdb.Error, OSError) as error:
            raise StateUnusable(f"{self.path}: {error}") from None

    def _open_file(self) -> lmdb.Environment:
        environment = lmdb.open(
            str(self.path),
            subdir=False,
            mode=0o600,
            map_size=MAP_BYTES,
            sync=False,
            metasync=False,
            readahead=False,
            max_readers=1024,
        )
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                os.posix_fallocate(descriptor, 0, MAP_BYTES)
                self._inode = os.fstat(descriptor).st_ino
            finally:
                os.close(descriptor)
            environment.reader_check()
            with environment.begin(write=True) as transaction:  # reads the root: damage shows here, not in a request
                transaction.get(b"\0", b"")
        except BaseException:
            environment.close()
            raise
        return environment

    def _set_aside(self) -> None:
        """Keep a damaged file for whoever wants to look into it, and start anew."""
        self.path.replace(self.path.with_suffix(".damaged"))
        with suppress(FileNotFoundError):
            self.path.with_name(self.path.name + "-lock").unlink()

    def _still_there(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def _unusable(self, error: lmdb.Error) -> StateUnusable:
        """What to raise for *error*; a damaged file is opened, and so set aside, at the next use."""
        if isinstance(error, _DAMAGED):
            self._close()
        return StateUnusable(f"{self.path}: {error}")

    def _close(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None

    def _forget(self) -> None:
        """Start anew in a forked process, with the parent's environment kept until it can be closed."""
        self._lock = threading.Lock()
        if self._environment is not None:
            self._inherited, self._environment = self._environment, None
