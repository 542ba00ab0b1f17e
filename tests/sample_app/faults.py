"""The control plane as it is served, with the three simulated providers, and every fault of theirs as a table.

``serving`` starts all of it: gunicorn with its workers, on a database of the test's choice, and the providers as
processes. ``World.arm`` kills the worker (SIGKILL) that next passes a named place in a generation's life. ``case`` says
for each fault what may become of the customer's generation and of the operator's money.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import urllib3
from sqlalchemy import create_engine

from bsguard.billing import Ledger
from sample_app import attempts, create_app
from sample_app.api_keys import Scope
from sample_app.attempts import AttemptState
from sample_app.simulated.engine import Pace
from sample_app.simulated.faults import Fault
from tests.sample_app.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sample_app.services import ControlPlane
    from sample_app.simulated.process import Simulated

PACE = Pace(run=0.05, slow=1.5, webhook_late=1.0, hold=1.5)
FINAL = ("succeeded", "failed", "cancelled", "expired")

#: A generation that is first asked of one provider, then, where there is one, of another.
ROUTES: dict[str, tuple[str, dict[str, object]]] = {
    "replicate": ("/v1/generate/image/reef-1", {"generation_provider_order": ["replicate", "fal"]}),
    "fal": ("/v1/generate/image/reef-1", {"generation_provider_order": ["fal", "replicate"]}),
    "openrouter": ("/v1/generate/video/current-1-fast", {"generation_provider_order": ["openrouter", "replicate"]}),
    "inline": ("/v1/generate/image/pearl-2", {}),
}


@dataclass(frozen=True)
class Case:
    """What a fault may come to. ``finals`` are the generation's ends, ``paid`` how many jobs were done for it."""

    fault: Fault
    finals: tuple[str, ...] = ("succeeded",)
    paid: tuple[int, ...] = (1,)


#: Done and paid, but of no use: the next provider is asked, and is paid too.
USELESS = (
    Fault.WRONG_CONTENT,
    Fault.WRONG_COUNT,
    Fault.OUTPUT_GONE,
    Fault.OUTPUT_REDIRECTS,
    Fault.OUTPUT_ELSEWHERE,
    Fault.OUTPUT_CUT,
    Fault.OUTPUT_ENDLESS,
)
#: Definite, so that the next provider is asked, which may be one where nothing can be looked up.
TAKEN_OVER = (*USELESS, Fault.REFUSES, Fault.OVERLOADED, Fault.SERVER_ERROR, Fault.FAILS, Fault.FLAGGED)
#: Taken, but the answer does not say so.
LOST = (
    Fault.TIMES_OUT_AFTER_WORK,
    Fault.HANGS_UP_AFTER_WORK,
    Fault.SERVER_ERROR_AFTER_WORK,
    Fault.NO_ID,
    Fault.GARBAGE,
)
#: Nobody can tell for sure: it ends without a charge, and without another provider.
NEVER_KNOWN = (Fault.STUCK,)


def case(fault: Fault, route: str) -> Case:
    """What may come of *fault* on a route when nobody is killed."""
    if route == "inline":
        return _inline(fault)
    if fault in NEVER_KNOWN:
        return Case(fault, ("expired",), (0,))
    if fault is Fault.SERVER_ERROR:
        # Replicate's list shows that nothing was taken; the others cannot be asked.
        return Case(fault) if route == "replicate" else Case(fault, ("expired",), (0,))
    # Whatever is definite has the next provider asked; only what was done before is paid for too.
    return Case(fault, paid=(2,)) if fault in USELESS else Case(fault)


def _inline(fault: Fault) -> Case:
    """One provider, which answers with the file: who loses the answer has lost the file, and can ask nobody."""
    if fault in (Fault.REFUSES, Fault.OVERLOADED, Fault.FLAGGED):
        return Case(fault, ("failed",), (0,))
    if fault in (Fault.SERVER_ERROR, Fault.FAILS, Fault.STUCK):
        return Case(fault, ("expired",), (0,))
    if fault in LOST or fault is Fault.WRONG_COUNT:
        return Case(fault, ("expired",), (1,))
    return Case(fault, ("failed",), (1,)) if fault is Fault.WRONG_CONTENT else Case(fault)


def after_a_crash(fault: Fault, route: str) -> Case:
    """What may come of *fault* when a worker was killed on the way: it may also be that nobody could find out."""
    quiet = case(fault, route)
    if fault is Fault.OUTPUT_ERRORS:
        # Until somebody else goes on, the time may be over that an output is tried to be fetched in.
        quiet = Case(fault, quiet.finals, (1, 2))
    if route == "replicate" and fault not in TAKEN_OVER:
        # An order can be looked up there, so a crash takes nothing away.
        return quiet
    return Case(fault, (*quiet.finals, "expired"), (0, 1, *quiet.paid))


@dataclass
class World:
    """All of it, running."""

    url: str
    parts: ControlPlane
    providers: dict[str, Simulated]
    armed: Path
    server: subprocess.Popen[str]
    prompts: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    #: How long an answer may take to come: killed workers take connections with them, and new ones need time.
    patience_seconds: float = 20.0
    _http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, maxsize=16))

    def arm(self, point: str) -> None:
        """Kill the worker that next passes *point*, once."""
        (self.armed / point).touch()

    def hit(self, point: str) -> bool:
        """Whether somebody has been killed there since it was armed."""
        return not (self.armed / point).exists()

    def start(self, name: str, route: str, fault: Fault) -> str:
        """Ask for a generation with a fault at its first provider; its id."""
        # Plans limit accounts, so each has its own; and no other test's prompts are counted.
        account = f"a{secrets.token_hex(8)}"
        key = self.parts.keys.create(account, tuple(Scope)).token
        with self.parts.database.writing() as connection:
            self.parts.credits.topup(connection, account, 1_000, f"t-{account}")
        path, body = ROUTES[route]
        first = "openrouter" if route == "inline" else route
        prompt = f"{name} {account} simulate:{first}:{fault}"
        sent = {"generation_prompt": prompt, **body}
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": prompt.replace(" ", "-")}
        started = self.until("POST", path, headers, (202,), json=sent)
        generation_id: str = started["data"]["generation_id"]
        self.prompts[generation_id] = prompt
        self.keys[generation_id] = key
        return generation_id

    def until(self, method: str, path: str, headers: dict[str, str], statuses: tuple[int, ...], **options: Any) -> Any:
        """The JSON of such an answer."""
        return self.answer(method, path, headers, statuses, **options).json()

    def answer(self, method: str, path: str, headers: dict[str, str], statuses: tuple[int, ...], **options: Any) -> Any:
        """Ask until the answer has one of the statuses."""
        deadline = time.monotonic() + self.patience_seconds
        seen: object = None
        while time.monotonic() < deadline:
            try:
                url = self.url + path
                answer = self._http.request(method, url, headers=headers, timeout=10, redirect=False, **options)
            except urllib3.exceptions.HTTPError as error:
                seen = error
            else:
                if answer.status in statuses:
                    return answer
                seen = (answer.status, answer.data)
            time.sleep(0.05)
        raise AssertionError(f"{method} {path}: {seen!r}")

    def wait(self, generation_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """The generation, once it has ended."""
        headers = {"Authorization": f"Bearer {self.keys[generation_id]}"}
        deadline = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self.until("GET", f"/v1/generations/{generation_id}", headers, (200,))["data"]
            if found["status"] in FINAL:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"not ended: {found}")
            time.sleep(0.1)

    def jobs(self, generation_id: str) -> list[dict[str, Any]]:
        """What all providers did for a generation."""
        prompt = self.prompts[generation_id]
        found = [job for one in self.providers.values() for job in one.ledger()["jobs"] if job["prompt"] == prompt]
        assert all(job["executed"] <= 1 for job in found)
        return found

    def applied(self, generation_id: str, route: str, fault: Fault) -> Fault:
        """The fault that there was: none, where the first provider was found in trouble and another one asked first."""
        first = "openrouter" if route == "inline" else route
        with self.parts.database.reading() as connection:
            made = attempts.of(connection, generation_id)
        return fault if not made or made[0].provider == first else Fault.NONE

    def entries(self, generation_id: str) -> list[str]:
        """The ledger's entries about a generation, in order."""
        headers = {"Authorization": f"Bearer {self.keys[generation_id]}"}
        listed = self.until("GET", "/v1/usage?limit=100", headers, (200,))["data"]["entries"]
        return [one["type"] for one in reversed(listed) if one["generation_id"] == generation_id]

    def findings(self) -> tuple[object, ...]:
        """What is wrong with the books."""
        engine = create_engine(self.parts.settings.database_url)
        try:
            return tuple(Ledger(engine).audit())
        finally:
            engine.dispose()

    def check(self, generation_id: str) -> tuple[str, int]:
        """Hold one ended generation against what must be so whatever happened; how it ended, and how many were paid."""
        ended = self.wait(generation_id)
        jobs = self.jobs(generation_id)
        tokens = [job["token"] for job in jobs if job["token"]]
        assert len(tokens) == len(set(tokens)), "an attempt was placed twice"
        self.ended[generation_id] = ended["status"]
        settled = "charge" if ended["status"] == "succeeded" else "release"
        assert self.entries(generation_id) == ["reserve", settled]
        self._check_spend(generation_id, jobs)
        assert bool(ended["outputs"]) == (ended["status"] == "succeeded")
        for output in ended["outputs"]:
            headers = {"Authorization": f"Bearer {self.keys[generation_id]}"}
            link = self.answer("GET", output["url"], headers, (302,))
            self.answer("GET", link.headers["Location"], {}, (200,))
        return ended["status"], sum(job["charged_micro_usd"] > 0 for job in jobs)

    def _check_spend(self, generation_id: str, jobs: list[dict[str, Any]]) -> None:
        """Whatever a provider was asked to do is written down, with what it costs."""
        with self.parts.database.reading() as connection:
            made = attempts.of(connection, generation_id)
        # OpenRouter's images have no webhook, and so no token at the provider.
        assert {job["token"] for job in jobs if job["token"]} <= {attempt.token for attempt in made}
        assert len(jobs) <= len(made)
        paid = {job["token"]: job["charged_micro_usd"] for job in jobs if job["token"]}
        for attempt in made:
            if paid.get(attempt.token):
                assert attempt.spend_micro_usd > 0, attempt
            if attempt.provider == "openrouter" and attempt.spend_known and attempt.token in paid:
                assert attempt.spend_micro_usd == paid[attempt.token], attempt
        assert sum(attempt.state is AttemptState.WON for attempt in made) == (self.ended[generation_id] == "succeeded")


@contextmanager
def serving(
    folder: Path, database_url: str, providers: dict[str, Simulated], workers: int = 2, **settings: str
) -> Iterator[World]:
    """Start gunicorn, pointed at *providers*, with waits short enough for tests."""
    armed = folder / "armed"
    armed.mkdir()
    port = _free_port()
    config = {
        "CONTROL_PLANE_DATABASE_URL": database_url,
        "CONTROL_PLANE_ARTIFACTS": str(folder / "artifacts"),
        "CONTROL_PLANE_ARTIFACT_BYTES_MAX": "1000000",
        "CONTROL_PLANE_PRIVATE_PROVIDERS": "yes",
        "CONTROL_PLANE_PRIVATE_WEBHOOKS": "yes",
        "CONTROL_PLANE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "CONTROL_PLANE_PROVIDER_SECONDS_MAX": "1",
        "CONTROL_PLANE_SWEEP_SECONDS": "0.2",
        "CONTROL_PLANE_LEASE_SECONDS": "3",
        "CONTROL_PLANE_POLL_SECONDS": "0.2",
        "CONTROL_PLANE_ATTEMPT_SECONDS": "8",
        "CONTROL_PLANE_RECONCILE_SECONDS": "6",
        "CONTROL_PLANE_UNFINISHED_MAX": "1000",
        "BSGUARD_LIMITER_GLOBAL_RATE": "1000000/second",
        "BSGUARD_STATE_DIR": str(folder / "guard"),
        "BSGUARD_EVENTS_LOGGED": "false",
        **settings,
    }
    for one in providers.values():
        config |= one.settings()
    environment = {
        **os.environ,
        **config,
        "CONTROL_PLANE_BIND": f"127.0.0.1:{port}",
        "CONTROL_PLANE_WORKERS": str(workers),
        "CONTROL_PLANE_THREADS": "16",
        "TESTS_ARMED": str(armed),
    }
    command = [
        *(sys.executable, "-m", "gunicorn", "-c", "sample_app/gunicorn.conf.py"),
        "tests.sample_app.crashing:app()",
    ]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    app = create_app(config | {"CONTROL_PLANE_SWEEP_SECONDS": "0", "BSGUARD_STATE_DIR": str(folder / "guard-2")})
    try:
        assert server.stderr is not None
        assert next(line for line in server.stderr if re.search("Listening at", line))
        os.set_blocking(server.stderr.fileno(), False)
        yield World(f"http://127.0.0.1:{port}", app.extensions["control_plane"], providers, armed, server)
    finally:
        server.terminate()
        server.communicate(timeout=40)
        app.extensions["control_plane"].database.dispose()


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
