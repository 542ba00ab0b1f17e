"""Files that are deleted, cut, overwritten or full, before a store opens them and while it is in use.

What may happen: a step fails with StateUnusable, and counts begin anew. What may not: any other exception, a hang, or
a file that stays unusable. LMDB reads its file as memory, so cutting it below a running process ends that process, as
it would end any other; the next one must work.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bsguard.core.errors import StateUnusable
from bsguard.stores.port import Change, Counter, Rate, Store
from tests.stores.support import KEYS, START_US, open_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RATE = Rate.of(1000, 86_400)
KEY = KEYS.counter("ip", "192.0.2.1")
FILES = {"local": "table.lmdb", "sqlite": "counters.sqlite"}


@pytest.fixture(params=FILES)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def path(kind: str, folder: Path) -> Path:
    return folder / FILES[kind]


def filled(kind: str, folder: Path) -> Store:
    store = open_kind(kind, str(folder))
    for block in range(20):
        store.settle(START_US, [Change(KEYS.counter("ip", f"{block} {n}"), RATE, 1) for n in range(100)])
    return store


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(random.Random(5).randbytes(16_384))


def garbage(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(random.Random(7).randbytes(size))


def text(path: Path) -> None:
    path.write_text("this is no database\n" * 1000)


def pages(path: Path) -> None:
    """All but the first two pages, which LMDB looks at when it opens a file."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(random.Random(9).randbytes(max(size - 8192, 4096)))


DAMAGE = {function.__name__: function for function in (delete, empty, cut, header, garbage, text, pages)}


def recovers(store: Store, tries: int = 3) -> bool:
    """Whether the store works again after a few steps that may say that it cannot."""
    for _ in range(tries):
        try:
            store.take(START_US, [Counter(KEY, RATE)])
        except StateUnusable:
            continue
        return True
    return False


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_is_damaged_before_it_is_opened(kind: str, folder: Path, path: Path, damage: str) -> None:
    filled(kind, folder).close()
    DAMAGE[damage](path)
    store = open_kind(kind, str(folder))
    assert recovers(store)
    before = store.take(START_US, [Counter(KEY, RATE, 0)]).loads_us[0]
    assert store.take(START_US, [Counter(KEY, RATE)]).loads_us[0] == before + RATE.emission_us
    store.close()


IN_USE = """
import sys, time
from pathlib import Path
from bsguard.stores import sqlite, lmdb_file
from tests.stores import test_damage
kind, folder, damage = sys.argv[1:]
sqlite.LOOK_SECONDS = lmdb_file.LOOK_SECONDS = 0.05
import bsguard.stores.rows as rows
rows.LOOK_SECONDS = 0.05
store = test_damage.filled(kind, Path(folder))
test_damage.DAMAGE[damage](Path(folder) / test_damage.FILES[kind])
time.sleep(0.1)
print(test_damage.recovers(store), flush=True)
"""


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_is_damaged_while_it_is_in_use(kind: str, folder: Path, damage: str) -> None:
    """In a process of its own, which may be ended by the system and by nothing else."""
    done = subprocess.run(
        [sys.executable, "-c", IN_USE, kind, str(folder), damage],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if kind == "sqlite" or damage in ("delete", "empty", "cut", "text"):
        assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    else:
        assert done.returncode in (0, -signal.SIGBUS, -signal.SIGSEGV, -signal.SIGABRT), done.stderr
    store = open_kind(kind, str(folder))
    assert recovers(store)
    store.close()


def test_a_file_that_is_deleted_is_made_again_for_all(kind: str, folder: Path, path: Path, now_looking: None) -> None:
    """Two workers; who noticed first and who noticed last count in the same file again."""
    first, second = filled(kind, folder), open_kind(kind, str(folder))
    second.take(START_US, [Counter(KEY, RATE)])
    path.unlink()
    first.take(START_US, [Counter(KEY, RATE)])
    second.take(START_US, [Counter(KEY, RATE)])
    assert path.exists()
    assert first.take(START_US, [Counter(KEY, RATE, 0)]).loads_us[0] == 2 * RATE.emission_us
    first.close()
    second.close()


def test_the_whole_folder_is_deleted(kind: str, folder: Path, now_looking: None) -> None:
    """As systemd does in memory when a user logs out."""
    place = folder / "inner"
    place.mkdir(mode=0o700)
    store = filled(kind, place)
    shutil.rmtree(place)
    assert recovers(store)
    assert place.stat().st_mode & 0o777 == 0o700
    store.close()


@pytest.fixture
def now_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores look at each step whether their file is there."""
    for module in ("bsguard.stores.lmdb_file", "bsguard.stores.rows"):
        monkeypatch.setattr(f"{module}.LOOK_SECONDS", 0.0)


LIMITED = """
import resource, signal, sys
from bsguard.core.errors import StateUnusable
from bsguard.stores.port import Change, Counter
from tests.stores.support import KEYS, START_US, open_kind
from tests.stores.test_damage import KEY, RATE
kind, folder, limit, first = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_kind(kind, folder)
if first == "open":
    store.take(START_US, [Counter(KEY, RATE)])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
failed = 0
for number in range(500):
    try:
        store.settle(START_US, [Change(KEYS.counter("ip", f"{number} {n}"), RATE, 1) for n in range(10)])
    except StateUnusable:
        failed += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.take(START_US, [Counter(KEY, RATE)])
print(failed)
"""


@pytest.mark.parametrize("first", ["open", "new"])
def test_a_full_file_system(kind: str, folder: Path, first: str) -> None:
    """Steps fail and say so; with room again they work."""
    command = [sys.executable, "-c", LIMITED, kind, str(folder), "65536", first]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_a_read_only_folder(kind: str, folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only for root")
    folder.chmod(0o500)
    with pytest.raises(StateUnusable):
        open_kind(kind, str(folder)).take(START_US, [])
    folder.chmod(0o700)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes a file system of a size, for root."""
    place = tmp_path / "mounted"
    place.mkdir()

    def make(size: str) -> Path:
        if os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("only root can mount")
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place)]
        if subprocess.run(command, check=False, capture_output=True).returncode != 0:
            pytest.skip("mounting is not allowed here")
        return place

    yield make
    if place.is_mount():
        subprocess.run(["umount", "-l", place], check=True)


def failures(store: Store) -> int:
    """How many of many steps on new keys fail."""
    failed = 0
    for number in range(500):
        try:
            store.settle(START_US, [Change(KEYS.counter("ip", f"{number} {n}"), RATE, 1) for n in range(20)])
        except StateUnusable:
            failed += 1
    return failed


def test_a_file_system_that_is_too_small_or_read_only(kind: str, mount: Callable[[str], Path]) -> None:
    place = mount("512k")
    store = open_kind(kind, str(place))
    assert failures(store) > 0
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    with pytest.raises(StateUnusable):
        open_kind(kind, str(place)).take(START_US, [Counter(KEY, RATE)])


FILLED = """
import sys
from pathlib import Path
from tests.stores.support import START_US, open_kind
from tests.stores.test_damage import KEY, RATE, failures
from bsguard.stores.port import Counter
kind, place = sys.argv[1:]
store = open_kind(kind, place)
store.take(START_US, [Counter(KEY, RATE)])
theirs = Path(place) / "theirs"
try:
    theirs.write_bytes(bytes(40 * 1024 * 1024))
except OSError as error:
    print(error.strerror)
failures(store)
theirs.unlink()
print(failures(store))
"""


def test_a_file_system_that_others_fill_later(kind: str, mount: Callable[[str], Path]) -> None:
    """In a process of its own: to touch memory behind which there is no room would end it."""
    command = [sys.executable, "-c", FILLED, kind, str(mount("40m"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "No space left on device\n0\n"), done.stderr
