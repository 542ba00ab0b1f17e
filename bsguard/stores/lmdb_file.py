"""LMDB files as all stores here want them: of a fixed size, open once in a process, opened again after a fork.

A file never grows beyond its fixed size. A process that is killed in the middle of a step leaves no lock behind and no
half of a step: LMDB's writer lock is a robust mutex, and a step is one transaction. Every step is a writing one, even
if it only reads: a reader that is stopped would keep all pages from being used again, and the file would fill up.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import lmdb

from bsguard.core.errors import StateUnusable
from bsguard.core.fork import idle_at_fork, in_each_child
from bsguard.stores.folder import open_folder
from bsguard.stores.sqlite import LOOK_SECONDS, lock_within

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate, ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

#: Differs after each start of the machine; only Linux has it.
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

#: The file itself is wrong; anything else concerns one transaction.
_DAMAGED: Final = (
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
)

#: LMDB refuses to open in one process what is open there already, so everybody who names a file gets the same object.
_files: Final[weakref.WeakValueDictionary[Path, LMDBFile]] = weakref.WeakValueDictionary()
_files_lock: Final = threading.Lock()
os.register_at_fork(before=_files_lock.acquire, after_in_parent=_files_lock.release, after_in_child=_files_lock.release)


def lmdb_file(path: Path, map_bytes: int) -> LMDBFile:
    """The file at *path*, of *map_bytes*; it is opened at the first use."""
    path = path.parent.resolve() / path.name
    with _files_lock:
        return _files.setdefault(path, LMDBFile(path, map_bytes))


class LMDBFile:
    """One file; made by :func:`lmdb_file`."""

    def __init__(self, path: Path, map_bytes: int) -> None:
        self.path = path
        self._map_bytes = map_bytes
        self._guard = path.with_suffix(".lock")
        self._lock_path = path.with_name(path.name + "-lock")  # LMDB's own
        self.lock = threading.Lock()
        self._environment: lmdb.Environment | None = None
        self._inherited: lmdb.Environment | None = None
        self._inode = -1
        self._looked = 0.0
        idle_at_fork(self)
        in_each_child(self._forget)

    def step(
        self, step: Callable[Concatenate[lmdb.Transaction[bytes], P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What ``step(transaction, …)`` gives, in one transaction; raises StateUnusable."""
        with self.lock:  # LMDB has one writer at a time anyway, and nobody closes what is in use
            try:
                with self._opened().begin(write=True) as transaction:
                    return step(transaction, *args, **kwargs)
            except lmdb.Error as error:
                if isinstance(error, _DAMAGED):
                    self._close()  # it is opened, and so set aside, at the next use
                raise StateUnusable(f"{self.path}: {error}") from None

    def clear(self) -> None:
        """Forget everything."""
        self.step(lambda transaction: transaction.drop(self._opened().open_db(txn=transaction), delete=False))

    def close(self) -> None:
        """Close what this process holds; the next use opens it again."""
        with self.lock:
            self._close()

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
        open_folder(self.path.parent)  # it may have been deleted since, and made again by somebody else
        try:
            with self._guard.open("a+") as guard:
                lock_within(guard)
                self._drop_older_than_boot(guard)
                if self.path.exists() and self.path.stat().st_size != self._map_bytes:
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
            map_size=self._map_bytes,
            sync=False,
            metasync=False,
            readahead=False,
            max_readers=1024,
        )
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                # Its whole length, but not its room: an application's tests make guards by the hundred. Where the
                # room runs out later, writing fails like any other write, and another store takes over.
                os.ftruncate(descriptor, self._map_bytes)
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

    def _drop_older_than_boot(self, guard: IO[str]) -> None:
        """Start anew after the machine has: nothing here waits for the disk, so a power cut may leave any nonsense."""
        boot = _BOOT_ID.read_text() if _BOOT_ID.exists() else ""
        guard.seek(0)
        if guard.read() != boot:
            self.path.unlink(missing_ok=True)
            self._lock_path.unlink(missing_ok=True)
            guard.truncate(0)
            guard.write(boot)
            guard.flush()

    def _set_aside(self) -> None:
        """Keep a damaged file for whoever wants to look into it, and start anew."""
        self.path.replace(self.path.with_suffix(".damaged"))
        self._lock_path.unlink(missing_ok=True)

    def _still_there(self) -> bool:
        try:
            facts = self.path.stat()
        except OSError:
            return False
        return facts.st_ino == self._inode and facts.st_size == self._map_bytes

    def _close(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None

    def _forget(self) -> None:
        """Start anew in a forked process, with the parent's environment kept until it can be closed."""
        self.lock = threading.Lock()
        if self._environment is not None:
            self._inherited, self._environment = self._environment, None
