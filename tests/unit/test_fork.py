"""Nothing that must not cross a fork crosses it: no lock, no thread, no connection, no queued event."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = """
import os, sqlite3, sys, threading, warnings
from pathlib import Path

from bsguard import guard
from bsguard.core.events import StateDegraded
from bsguard.core.overrides import Override
from bsguard.observe.store import EventStore
from bsguard.stores.overrides import SQLiteOverrides
from bsguard.testing import FakeClock, environ, run

warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks beside threads: that is the point
folder = Path(sys.argv[1])
clock = FakeClock()


def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def event(name):
    return StateDegraded(time=1.0, part="events", lost=name, reason="why")


def entry(name):
    value = {"rule": "protocol.method"}
    return Override(kind="exception", value=value, author="ops", comment=name, created=1.0)


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""

SCRIPTS: dict[str, tuple[str, str]] = {
    "events of parent and child are each stored once": (
        """
store = EventStore(folder / "events.sqlite", rows_max=1000)
store(event("before"))
store.flush()
store(event("waiting"))

def child():
    store(event("child"))
    store.flush()
    assert store.dropped == 0

print(in_child(child))
store(event("after"))
store.flush()
print(sorted(one["lost"] for one in store.recent()), len(store.recent()))
""",
        "0\n['after', 'before', 'child', 'waiting'] 4\n",
    ),
    "a lock that a thread of the parent holds does not hold the child": (
        """
store = EventStore(folder / "events.sqlite", rows_max=1000)
view = SQLiteOverrides(folder / "overrides.sqlite", clock)
view.add(entry("one"))
store(event("before"))
store.flush()
held, go_on = threading.Event(), threading.Event()

def hold():
    with store._changed, store._file.lock, view._file.lock:
        held.set()
        go_on.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()

def child():
    store(event("child"))
    store.flush()
    clock.advance(5)
    assert [one.comment for one in view.active("exception", clock.now())] == ["one"]
    view.add(entry("two"))

print(in_child(child))
go_on.set()
thread.join()
clock.advance(5)
print([one["lost"] for one in store.recent()], len(view.active("exception", clock.now())))
""",
        "0\n['child', 'before'] 2\n",
    ),
    "a child has connections of its own and leaves the parent's alone": (
        """
view = SQLiteOverrides(folder / "overrides.sqlite", clock)
view.add(entry("one"))
parents = view._file.connection()

def child():
    assert view._file.connection() is not parents
    view.add(entry("two"))
    view.close()

print(in_child(child))
view.add(entry("three"))
print([one.comment for one in view.active("exception", clock.now())])
print(parents.execute("PRAGMA integrity_check").fetchone()[0])
""",
        "0\n['one', 'two', 'three']\nok\n",
    ),
    "a child sees what was changed between the parent's last look and the fork": (
        """
worker = SQLiteOverrides(folder / "overrides.sqlite", clock)
operator = SQLiteOverrides(folder / "overrides.sqlite", clock)
operator.add(entry("one"))
assert len(worker.active("exception", clock.now())) == 1
operator.add(entry("two"))

def child():
    clock.advance(5)
    print([one.comment for one in worker.active("exception", clock.now())], flush=True)

print(in_child(child))
""",
        "['one', 'two']\n0\n",
    ),
    "a whole guard serves on in parent and children": (
        """
made = guard(app, {"STATE_DIR": folder / "state", "MODE": "enforce", "EVENTS_LOGGED": False}, clock=clock)
assert run(made, environ("TRACE")).status == 405

def child():
    for _ in range(50):
        assert run(made, environ("TRACE")).status == 405
        assert run(made, environ("POST", "/", body=b"x" * 100000, chunked=True)).status == 200
    made.store.flush()
    assert made.store.dropped == 0

print([in_child(child) for _ in range(3)])
assert run(made, environ("TRACE")).status == 405
made.store.flush()
print(len(made.store.named("request.denied", 1000)))
""",
        "[0, 0, 0]\n152\n",
    ),
    "identities are the same in all workers": (
        """
seen = []
made = guard(app, {"STATE_DIR": folder / "state", "MODE": "enforce", "EVENTS_LOGGED": False}, emit=seen.append)
request = lambda: environ(headers={"Authorization": "Bearer a"})
run(made, request())

def child():
    run(made, request())
    print(len({one.identity for one in seen if one.name == "request.finished"}), flush=True)

print(in_child(child))
again = guard(app, {"STATE_DIR": folder / "state", "MODE": "enforce", "EVENTS_LOGGED": False}, emit=seen.append)
run(again, request())
print(len({one.identity for one in seen if one.name == "request.finished"}))
""",
        "1\n0\n1\n",
    ),
    "an object that is gone does not come back in a child": (
        """
import gc, weakref
file = SQLiteOverrides(folder / "overrides.sqlite", clock)
gone = weakref.ref(file)
file.close()
del file
gc.collect()
print(gone() is None, in_child(lambda: None))
""",
        "True 0\n",
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_across_a_fork(tmp_path: Path, name: str) -> None:
    script, said = SCRIPTS[name]
    command = [sys.executable, "-c", BEGIN + script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)

    assert (done.stdout, done.stderr, done.returncode) == (said, "", 0)


def test_the_table_is_complete() -> None:
    assert len(SCRIPTS) == 7
