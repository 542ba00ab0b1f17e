"""The crash matrix: every fault, reported inline or by webhook, with a kill -9 at every place; each in its own cell.

After the kill another process comes: the client repeats its request, providers repeat their reports, and the sweeper
runs. Then there is one charge or one release, the books are right, and what providers did is in them.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sample_app import create_app
from sample_app.api_keys import API_SCOPES
from sample_app.crash_points import POINTS
from sample_app.simulated.engine import Pace
from sample_app.simulated.faults import Fault
from sample_app.simulated.process import all_running
from tests.sample_app import dying
from tests.sample_app.support import service_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sample_app.services import ControlPlane
    from sample_app.simulated.process import Simulated

pytestmark = [pytest.mark.server]

PACE = Pace(run=0.02, slow=0.5, webhook_late=0.2, hold=1.5)
MODES = ("inline", "webhook")
CELL_SECONDS_MAX = 180
#: Not for one generation's ends: they only take long.
LEFT_OUT = (Fault.OUTPUT_ENDLESS,)
FAULTS = tuple(fault for fault in Fault if fault not in LEFT_OUT)
CANCELLED = (Fault.STUCK, Fault.SLOW, Fault.SUCCESS_AFTER_CANCEL)
#: Enough of both for every run of the suite: each place once with nothing wrong, and some faults at some places.
FEW = (
    *((Fault.NONE, mode, point) for mode in MODES for point in ("", *POINTS[:-4])),
    *((Fault.STUCK, "webhook", point) for point in POINTS[-4:]),
    *(
        (fault, "webhook", point)
        for fault in (Fault.TIMES_OUT_AFTER_WORK, Fault.FAILS, Fault.WEBHOOK_TWICE)
        for point in ("attempt.done", "called", "report.writing", "won", "settle.writing")
    ),
)


class LetterBox(ThreadingHTTPServer):
    """Keeps what providers report, and hands it out."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Letters)
        self.letters: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Letters(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        box: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
        box.letters.append({"id": str(len(box.letters)), "path": self.path, "headers": kept, "body": body})
        self._answer(b"{}")

    def do_GET(self) -> None:
        box: Any = self.server
        self._answer(json.dumps(box.letters).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@dataclass
class World:
    """Providers, a letter box, a database, and who has died where."""

    folder: Path
    database_url: str
    providers: dict[str, Simulated]
    box: LetterBox
    parts: ControlPlane
    key: str
    killed: Counter[str] = field(default_factory=Counter)
    number: int = 0

    def config(self, mode: str) -> dict[str, object]:
        found: dict[str, object] = {}
        for provider in self.providers.values():
            found |= provider.settings()
        return (
            found
            | service_config(self.folder)
            | {
                "BSGUARD_ENABLED": False,
                "RATELIMIT_ENABLED": False,
                "CONTROL_PLANE_DATABASE_URL": self.database_url,
                "CONTROL_PLANE_ARTIFACTS": str(self.folder / "artifacts"),
                "CONTROL_PLANE_PRIVATE_PROVIDERS": "yes",
                "CONTROL_PLANE_PRIVATE_WEBHOOKS": "yes",
                "CONTROL_PLANE_PUBLIC_URL": self.box.url,
                "CONTROL_PLANE_PROVIDER_SECONDS_MAX": "1",
                "CONTROL_PLANE_REPLICATE_WAIT_SECONDS": "1" if mode == "inline" else "0",
                "CONTROL_PLANE_ARTIFACT_BYTES_MAX": "1000000",
                "CONTROL_PLANE_LEASE_SECONDS": 20,
                "CONTROL_PLANE_POLL_SECONDS": 0.05,
                "CONTROL_PLANE_ATTEMPT_SECONDS": 250,
                "CONTROL_PLANE_RECONCILE_SECONDS": 200,
                "CONTROL_PLANE_UNFINISHED_MAX": 100_000,
            }
        )

    def run(self, fault: Fault, mode: str, point: str) -> str:
        """One cell; what is wrong with how it ended, or nothing."""
        self.number += 1
        cancels = fault is Fault.SUCCESS_AFTER_CANCEL or (point.startswith("cancel.") and fault in CANCELLED)
        # The providers remember the jobs of other worlds too.
        prompt = f"{self.folder.name}-{self.number} simulate:replicate:{fault}"
        cell = dying.Cell(
            self.config(mode), self.box.url, self.key, prompt, ("replicate", "fal"), cancels=cancels, point=point
        )
        result = str(self.folder / f"{prompt.replace(' ', '-').replace(':', '-')}.json")
        exits: list[int | None] = []
        for later, where in ((0, point), (dying.LATER_MS, "")):
            process = multiprocessing.get_context("forkserver").Process(
                target=dying.work, args=(cell, result, later, where)
            )
            process.start()
            process.join(CELL_SECONDS_MAX)
            # None, then, for one that has not ended: how fast this machine is decides nothing.
            exits.append(process.exitcode)
            process.kill()
            process.join()
            if process.exitcode == 0:
                break
        if exits[0] == -signal.SIGKILL:
            self.killed[point] += 1
        if exits[-1] != 0:
            return f"the processes ended with {exits}"
        return self._judge(json.loads(Path(result).read_text(encoding="utf-8")), prompt)

    def _judge(self, ended: dict[str, Any], prompt: str) -> str:
        """What must be so, whatever happened."""
        generation, made = ended["generation"], ended["attempts"]
        jobs = [job for one in self.providers.values() for job in one.ledger()["jobs"] if job["prompt"] == prompt]
        hold = self.parts.database.ledger.hold(generation["generation_id"])
        tokens = Counter(job["token"] for job in jobs)
        spend = {each["token"]: each["spend"] for each in made}
        states = Counter(each["state"] for each in made)
        succeeded = generation["status"] == "succeeded"
        page = self.parts.database.ledger.history("acme", limit=1_000).entries
        entries = [entry.type for entry in page if entry.generation == generation["generation_id"]]
        wrong = {
            "not ended": generation["status"] not in dying.FINAL or any(each["open"] for each in made),
            "no hold": hold is None or hold.settled is None,
            "settled the wrong way": hold is not None and (hold.settled == "charged") != succeeded,
            "entries": sorted(entries) != sorted(["reserve", "charge" if succeeded else "release"]),
            "outputs": bool(generation["outputs"]) != succeeded,
            "winners": states["won"] != int(succeeded),
            "an attempt was placed twice": any(count > 1 for count in tokens.values()),
            "a job that nobody wrote down": not set(tokens) <= set(spend),
            "spend is not recorded": any(job["charged_micro_usd"] and not spend.get(job["token"]) for job in jobs),
            "two providers did the work of one": sum(job["executed"] for job in jobs if job["fault"] not in USELESS)
            > 1,
        }
        found = [name for name, is_so in wrong.items() if is_so]
        return f"{', '.join(found)}: {generation['status']} {dict(states)} {entries} {tokens}" if found else ""


#: Done, and of no use: then another provider may be asked.
USELESS = (
    "wrong_content",
    "wrong_count",
    "output_gone",
    "output_redirects",
    "output_elsewhere",
    "output_cut",
)


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Simulated]]:
    with all_running(PACE) as running:
        yield running


@contextmanager
def box_open() -> Iterator[LetterBox]:
    box = LetterBox()
    thread = threading.Thread(target=box.serve_forever)
    thread.start()
    try:
        yield box
    finally:
        box.shutdown()
        thread.join()
        box.server_close()


@pytest.fixture
def world(tmp_path: Path, database_url: str, providers: dict[str, Simulated]) -> Iterator[World]:
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.sample_app.dying"])
    config = service_config(tmp_path) | {"CONTROL_PLANE_DATABASE_URL": database_url}
    app = create_app(config)
    parts = app.extensions["control_plane"]
    key = parts.keys.create("acme", API_SCOPES).token
    parts.database.prepare()
    parts.database.ledger.topup("acme", 1_000_000, key="plenty")
    with box_open() as box:
        yield World(tmp_path, database_url, providers, box, parts, key)
    assert parts.database.ledger.audit() == ()
    parts.database.dispose()


def run(world: World, cells: tuple[tuple[Fault, str, str], ...]) -> dict[str, str]:
    """Every cell; what went wrong in which."""
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda cell: world.run(*cell), cells))
    return {" ".join(cell): wrong for cell, wrong in zip(cells, told, strict=True) if wrong}


@pytest.mark.slow
def test_some_places(world: World) -> None:
    places = ("attempt.done", "called", "won", "settle.writing")

    assert run(world, tuple((Fault.NONE, "webhook", place) for place in places)) == {}
    assert world.killed == dict.fromkeys(places, 1)


@pytest.mark.long
def test_a_part_of_the_matrix(world: World) -> None:
    assert run(world, FEW) == {}
    assert len(FEW) == 51
    assert set(world.killed) == set(POINTS)


@pytest.mark.long
def test_the_whole_matrix(world: World) -> None:
    cells = tuple((fault, mode, point) for fault in FAULTS for mode in MODES for point in POINTS)

    assert run(world, cells) == {}
    assert len(cells) == len(FAULTS) * 2 * 19
    assert set(world.killed) == set(POINTS)
