"""What outlives a worker: everything but the batch that it had not written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bsguard.session.recorder import BATCH_MAX
from bsguard.session.viewing import newest
from tests.stores.support import open_kind

if TYPE_CHECKING:
    from pathlib import Path

_REQUESTS = 300
_WORKER = """
import os, signal, sys
from bsguard import Session
from bsguard.testing import FakeClock, environ, run
from tests.session.support import HOME, KEYS, Service
from tests.stores.support import open_kind

clock = FakeClock()
layer = Session(Service(), {}, store=open_kind(sys.argv[1], sys.argv[2]), settings={"SECRET_KEYS": KEYS}, clock=clock)
for _ in range(int(sys.argv[3])):
    clock.advance(0.001)
    run(layer, environ(headers={"Authorization": "Bearer good"}, peer=HOME))
if sys.argv[4] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["local", "sqlite"])
@pytest.mark.parametrize(("end", "code", "lost_most"), [("killed", -signal.SIGKILL, BATCH_MAX - 1), ("ended", 0, 0)])
def test_a_worker_that_is_killed_loses_one_batch_at_most(
    kind: str, end: str, code: int, lost_most: int, tmp_path: Path
) -> None:
    for round_ in range(1, 3):
        words = [sys.executable, "-c", _WORKER, kind, str(tmp_path), str(_REQUESTS), end]
        done = subprocess.run(
            words, check=False, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        )
        assert done.returncode == code
        store = open_kind(kind, str(tmp_path))
        total = newest(store, 1)[0][1].total
        store.close()
        assert round_ * (_REQUESTS - lost_most) <= total <= round_ * _REQUESTS
        assert (total < round_ * _REQUESTS) == (end == "killed")
