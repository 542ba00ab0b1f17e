"""From an address to a store that works: chooses the place, checks it once, and puts a fallback behind it.

A server falls back to this machine's store, and that to the memory of each worker. What cannot work however long one
waits (a wrong password, a cluster, a package that is missing) is an error at start; what may come back (a server that
does not answer, a full disk) is an event, and the fallback serves until then.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import stat
import time
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bsguard.core.config import Wanted
from bsguard.core.errors import StateUnusable
from bsguard.core.events import StateDegraded
from bsguard.core.settings import DEFAULT_STATE_DIR
from bsguard.core.store_url import StoreURL, store_url
from bsguard.stores.embedded import SQLiteStore
from bsguard.stores.failover import Failover
from bsguard.stores.folder import keep_secret, kept_secret, open_folder
from bsguard.stores.memory import MemoryStore
from bsguard.stores.opened import OPENED
from bsguard.stores.port import TABLES, TAG_BYTES, Ban, Change, Counter, Exchange, Rate
from bsguard.stores.records import FILE as RECORDS
from bsguard.stores.redis import PREFIX, RedisStore, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.core.clock import Clock
    from bsguard.core.events import Emit
    from bsguard.core.settings import Settings
    from bsguard.stores.port import Store

_log = logging.getLogger("bsguard")

SETTING: Final = "BSGUARD_STORE"

#: A file system in memory, where there is one.
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108

#: How long a table in memory stays after its state directory was deleted.
STALE_SECONDS: Final = 7 * 86_400

#: Tables that a start looks at.
_SWEPT_MAX: Final = 100

#: Beside a table in memory: the path of its state directory.
_OWNER: Final = "table.owner"

_SCRATCH: Final = Rate.of(10, 60)


def open_store(
    url: str | StoreURL, *, folder: Path | None, clock: Clock, announce: Emit, prefix: str = PREFIX
) -> Store:
    """The store that *url* names, checked and closed again, so that a fork after this is clean.

    *folder* is the state directory, already opened; None where it cannot be used. *prefix* stands before each key on
    a server. What is lost is told to *announce* as :class:`~bsguard.core.events.StateDegraded`. Raises
    :class:`~bsguard.core.errors.StateUnusable` for what only the operator can cure.
    """
    try:
        where = store_url(url)
    except Wanted as wanted:
        raise StateUnusable(f"{SETTING}: wanted {wanted}") from None

    def lose(lost: str, reason: str) -> None:
        announce(StateDegraded(time=clock.now(), part="store", lost=lost, reason=reason))

    def backed(store: Store) -> Store:
        return store if store.reach == "process" else Failover(store, MemoryStore(), announce, clock=clock)

    if where.kind == "redis":
        here = _on_this_machine(StoreURL("local"), folder, lambda *_: None)
        made: Store = Failover(RedisStore(where, prefix=prefix), backed(here), announce, clock=clock)
    else:
        made = backed(_on_this_machine(where, folder, lose))
    OPENED.add(made)
    if isinstance(made, Failover):
        try:
            check(made.primary, int(clock.now() * 1_000_000))
        except StoreRefused:
            raise
        except StateUnusable as error:
            made.drop(error)
        finally:
            made.primary.close()
    return made


def open_alone(settings: Settings, clock: Clock, announce: Emit) -> tuple[Store, tuple[str, ...]]:
    """The store of a layer that is used by itself, and the secrets for its keys."""
    folder: Path | None = None
    secret = secrets.token_hex(32)
    try:
        folder = open_folder(DEFAULT_STATE_DIR)
        secret = kept_secret(folder)
    except StateUnusable as error:
        lost = "limits and bans hold in each worker by itself"
        announce(StateDegraded(time=clock.now(), part="state_dir", lost=lost, reason=str(error)))
    return open_counters(settings, secret, folder, clock, announce)


def open_counters(
    settings: Settings, secret: str, folder: Path | None, clock: Clock, announce: Emit
) -> tuple[Store, tuple[str, ...]]:
    """The store of the settings, and the secrets that its keys are made with: the operator's, else the agreed one.

    *secret* is this machine's own. Raises :class:`~bsguard.core.errors.StateUnusable` as :func:`open_store` does.
    """
    store = open_store(
        settings.store, folder=folder, clock=clock, announce=announce, prefix=f"{settings.store_prefix}:v1:"
    )
    return store, settings.secret_keys or (agreed_secret(store, secret, folder),)


def agreed_secret(store: Store, secret: str, folder: Path | None) -> str:
    """The secret that all machines which share *store* make its keys with; *secret* where there is one machine.

    It is kept in *folder*, so that this machine has it even when it starts while the server is down.
    """
    if not isinstance(store, Failover) or not isinstance(store.primary, RedisStore):
        return secret
    try:
        agreed = store.primary.agree(secret)
        if agreed != secret and folder is not None:
            keep_secret(folder, agreed)
    except StateUnusable:
        return secret
    finally:
        store.primary.close()
    return agreed


def check(store: Store, now_us: int) -> None:
    """Charge a counter that nobody uses, set its mark, and give it back; raises when that does not work."""
    key = secrets.token_bytes(2 + TAG_BYTES)
    counter, mark, ban, trail = (letter + key for letter, _ in TABLES.values())
    charge = Counter(counter, _SCRATCH, mark=0, mark_us=1_000_000)
    taken = store.take(now_us, [charge], [mark], [Ban(ban)], [Exchange(trail, 1)])
    (left,) = store.settle(taken.now_us, [Change(counter, _SCRATCH, -1)], [(mark, 0)])
    if taken.loads_us != (_SCRATCH.emission_us,) or left != 0:
        raise StateUnusable(f"the store {store.name} does not keep what it is told")


def _on_this_machine(where: StoreURL, folder: Path | None, lose: Callable[[str, str], None]) -> Store:
    """The store that *where* means; *lose* is told what it does without."""
    if where.kind == "memory":
        return MemoryStore()
    if where.path:
        file = Path(where.path).expanduser().absolute()
        return SQLiteStore(open_folder(file.parent, setting=SETTING) / file.name)
    if folder is None:  # whoever could not open it has said so
        return MemoryStore()
    if where.kind == "local":
        if find_spec("lmdb") is not None:
            from bsguard.stores.local import LocalStore

            return LocalStore(_place(folder), folder / RECORDS)
        lose("speed: counters are kept in SQLite", "the package lmdb is missing; pip install lmdb")
    return SQLiteStore(folder / "counters.sqlite", folder / RECORDS)


def _place(folder: Path) -> Path:
    """Where the table of the state directory *folder* lies: in memory where there is room, else there.

    The room is looked at before the file: who finds none because another worker has just taken it, finds its file.
    """
    from bsguard.stores.local import FILE, MAP_BYTES

    digest = hashlib.blake2b(bytes(folder.resolve()), digest_size=8).hexdigest()
    place = SHARED_MEMORY / f"bsguard-{os.geteuid()}-{digest}"
    try:
        system = os.statvfs(SHARED_MEMORY)
        if system.f_bavail * system.f_frsize < MAP_BYTES and not (place / FILE).exists():
            return folder
        open_folder(place, setting=SETTING)
        if not (place / _OWNER).exists():
            (place / _OWNER).write_bytes(bytes(folder.resolve()))
            _sweep()
        return place
    except OSError:  # there is no such file system here
        return folder
    except StateUnusable as error:
        _log.warning("counters are kept in %s: %s", folder, error)
        return folder


def _sweep() -> None:
    """Give back the memory of tables whose state directory is gone, such as that of a release long replaced.

    Another container may share the memory and not the directory, so a table that was used lately stays. Only some are
    looked at, whenever there is a new one: a machine that runs many tests may have thousands.
    """
    from bsguard.stores.local import FILE

    for place in islice(SHARED_MEMORY.glob(f"bsguard-{os.geteuid()}-*"), _SWEPT_MAX):
        try:
            facts = place.lstat()
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
                continue
            owner = Path(os.fsdecode((place / _OWNER).read_bytes()))
            used = max(facts.st_mtime, (place / FILE).stat().st_mtime) if (place / FILE).exists() else facts.st_mtime
            if not owner.exists() and time.time() - used > STALE_SECONDS:
                shutil.rmtree(place, ignore_errors=True)
        except OSError:
            continue
