"""Deep bodies cannot kill the process, not even in threads with the smallest stacks that are in use.

The validator recurses as deep as a body and a schema that contains itself allow, and has no guard of its own. So each
of these runs in a process that may die, and one of them shows that it would.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.contract.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

START = """
import json, logging, sys, threading
from pathlib import Path
from tests.contract.support import Guarded, operation, spec

logging.getLogger("bsguard.events").setLevel(logging.CRITICAL)
node = {"$ref": "#/components/schemas/Node"}
both = [{"type": "array", "items": node}, {"type": "object", "additionalProperties": node}, {"type": "null"}]

def guard(schema):
    document = spec({"/x": {"post": operation(body=node)}}, components={"schemas": {"Node": schema}})
    return Guarded(Path(sys.argv[1]), document, JSON_DEPTH_MAX=100)

def run_in_thread(call, kibibytes):
    threading.stack_size(kibibytes * 1024)
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
"""

GUARDED = """
schemas = {
    "anyOf": {"anyOf": both},
    "oneOf": {"oneOf": both},
    "allOf": {"allOf": [{"items": node, "additionalProperties": node}] * 3},
    "if": {"if": {"type": "array"}, "then": both[0], "else": {"anyOf": both[1:]}},
    "not": {"not": {"not": {"anyOf": both}}},
    "unevaluated": {"anyOf": both, "unevaluatedItems": False, "unevaluatedProperties": False},
    "wrong at the end": {"items": node, "additionalProperties": node, "type": ["array", "object"], "minItems": 1},
}
for name, schema in schemas.items():
    guarded, statuses = guard(schema), []

    def send():
        for opening, leaf, closing in ((b"[", b"", b"]"), (b'{"a":', b"null", b"}")):
            for depth in (100, 101, 5_000):
                body = opening * depth + leaf + closing * depth
                answer = guarded.ask("POST", "/x", headers={"Content-Type": "application/json"}, body=body)
                statuses.append(answer.status)

    for kibibytes in (128, 256, 8192):
        run_in_thread(send, kibibytes)
    print(json.dumps(statuses))
"""

BARE = """
(operation_,) = guard({"anyOf": both}).layer.assembly.documents[0].operations
value = None
for _ in range(5_000):
    value = [value]
run_in_thread(lambda: operation_.bodies[0].validator.is_valid(value), 128)
"""


def ran(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START + code, str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)


def test_the_deepest_body_that_is_let_in_is_judged_on_the_smallest_stack(tmp_path: Path) -> None:
    done = ran(tmp_path, GUARDED)

    assert done.returncode == 0, done.stderr[-2_000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(row) for row in rows] == [18] * 7
    for row in rows:
        at_the_limit, deeper = row[::3], [*row[1::3], *row[2::3]]
        assert set(at_the_limit) <= {200, 400}
        assert set(deeper) == {400}
    assert sum(row.count(200) for row in rows) == 36


def test_without_the_limit_the_process_would_die(tmp_path: Path) -> None:
    assert ran(tmp_path, BARE).returncode == -signal.SIGSEGV
