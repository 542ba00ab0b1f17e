"""Starting workers and collecting what they tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """A process that runs one function of ``tests.billing.worker``."""

    def __init__(self, function: str, **arguments: Any) -> None:
        command = [sys.executable, "-m", "tests.billing.worker", function, json.dumps(arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def running(self) -> bool:
        return self._process.poll() is None

    def result(self, seconds: float) -> Any:
        """What it told; its own error output if it failed."""
        try:
            out, err = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        assert self._process.returncode == 0, err
        return json.loads(out)
