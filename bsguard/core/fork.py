"""What must not cross a fork: locks that a thread of the parent may hold, and database connections."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

#: How long a fork waits for a thread that is in the middle of something.
_WAIT_SECONDS_MAX: Final = 1.0


class _Lock(Protocol):
    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool: ...

    def release(self) -> None: ...


class _Locked(Protocol):
    @property
    def lock(self) -> _Lock: ...


def in_each_child(method: Callable[[], None]) -> None:
    """Call the bound *method* in every process forked from now on, as long as its object lives."""
    reference = weakref.WeakMethod(method)

    def renew() -> None:
        found = reference()
        if found is not None:
            found()

    os.register_at_fork(after_in_child=renew)


def idle_at_fork(owner: _Locked) -> None:
    """Let forks wait until no thread holds the lock of *owner*, as long as *owner* lives.

    A library that a thread is in the middle of when the process forks waits for that thread in the child: for ever,
    since it does not exist there. SQLite and LMDB both do.
    """
    reference = weakref.ref(owner)
    taken: list[_Lock] = []

    def take() -> None:
        found = reference()
        if found is not None and found.lock.acquire(timeout=_WAIT_SECONDS_MAX):
            taken.append(found.lock)

    def give_back() -> None:
        while taken:
            taken.pop().release()

    os.register_at_fork(before=take, after_in_parent=give_back, after_in_child=taken.clear)
