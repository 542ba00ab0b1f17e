"""Serve the control plane, send it real requests, and show what became of each: ``python -m sample_app.tour``.

It begins with an account's story: generations that simulated providers make, or fail to make. Then come the requests
that the guard has to refuse. These go over a socket as bytes, because most of them cannot be sent by a well-behaved
client library. With ``--once`` it stops after them, and exits with 1 if any answer was not the expected one.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sample_app.api_keys import API_SCOPES
from sample_app.demo import ACCOUNT_ID
from sample_app.simulated.engine import Pace
from sample_app.simulated.process import all_running
from sample_app.tour_requests import Answer, Request, requests
from sample_app.tour_story import Story

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).resolve().parent.parent
_PORT: Final = 8000
# Slow enough to be cancelled, quick enough to be waited for.
_PACE: Final = Pace(run=0.5, slow=3.0, webhook_late=1.0, hold=5.0)
_START_SECONDS_MAX: Final = 30.0
_ANSWER_SECONDS_MAX: Final = 10.0
_STOP_SECONDS_MAX: Final = 10.0
_DENIED: Final = "request.denied"


@dataclass(frozen=True, slots=True)
class Seen:
    """A request, its answer, and the events that the guard recorded for it."""

    request: Request
    answer: Answer
    events: tuple[dict[str, object], ...] = ()

    @property
    def expected(self) -> bool:
        """Whether status and code are what the request says they must be."""
        return (self.answer.status, self.answer.code) == (self.request.status, self.request.code)


def main() -> int:
    """Run the tour; the exit status."""
    parser = argparse.ArgumentParser(prog="./run", description="Serve the sample app, guarded, and send it requests.")
    parser.add_argument(
        "--once", action="store_true", help="stop after the requests; fail if any answer was unexpected"
    )
    once = parser.parse_args().once
    port = _free_port()
    environment = {
        **os.environ,
        # One event for every request, so that the tour can show the served ones too.
        "BSGUARD_EVENTS_FINISHED": "true",
        "BSGUARD_EVENTS_LOGGED": "false",
        "CONTROL_PLANE_BIND": f"127.0.0.1:{port}",
        # The simulated providers are on this machine; so are we, for their reports.
        "CONTROL_PLANE_PRIVATE_PROVIDERS": "yes",
        "CONTROL_PLANE_PRIVATE_WEBHOOKS": "yes",
        "CONTROL_PLANE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "CONTROL_PLANE_SWEEP_SECONDS": "0.5",
    }
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as stack:
        print("starting three simulated providers and the service", flush=True)
        for provider in stack.enter_context(all_running(_PACE)).values():
            environment |= provider.settings()
        server = stack.enter_context(_serving(environment))
        try:
            unexpected = _walk(server, environment, once=once)
        except KeyboardInterrupt:
            print("\nstopping")
            return 0
    return 1 if unexpected else 0


def _walk(server: subprocess.Popen[bytes], environment: dict[str, str], *, once: bool) -> int:
    """Tell the story, send the requests; how much of it went otherwise than it should."""
    port = int(environment["CONTROL_PLANE_BIND"].rpartition(":")[2])
    account = f"tour-{secrets.token_hex(4)}"
    scopes = [word for scope in API_SCOPES for word in ("--scope", scope)]
    made = _flask(environment, "control-plane", "keys", "create", "--account", account, *scopes, "--json")
    _wait_until_serving(server, port)
    unexpected = _tell(Story(port, json.loads(made)["key"], partial(_flask, environment)))
    key = json.loads(_flask(environment, "control-plane", "seed-demo", "--json"))["key"]
    trial = _flask(environment, "control-plane", "keys", "playground", "--account", ACCOUNT_ID, "--json")
    asked = requests(key, json.loads(trial)["key"])
    unexpected += _show(_with_events([_send(one, port) for one in asked], environment))
    if not once:
        _say_how_to_go_on(port, key)
        server.wait()
    return unexpected


def _tell(story: Story) -> int:
    """Print each step of the story as it happens; how many were unexpected."""
    print()
    told = []
    for step in story.steps():
        told.append(step)
        print(f"{'  ' if step.expected else '! '}{step.name:<52} {step.outcome}", flush=True)
    right = sum(step.expected for step in told)
    print(f"\n{right} of {len(told)} steps were as expected.\n", flush=True)
    return len(told) - right


@contextmanager
def _serving(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gunicorn", "-c", "sample_app/gunicorn.conf.py", "--log-level", "error"]
    server = subprocess.Popen([*command, "sample_app:create_app()"], cwd=_ROOT, env=environment)  # noqa: S603
    try:
        yield server
    finally:
        _stop(server)


def _flask(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "flask", "--app", "sample_app", *words]
    done = subprocess.run(command, cwd=_ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return done.stdout


def _free_port() -> int:
    """The usual port if nobody has it, else any."""
    for port in (_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no free port on 127.0.0.1")


def _wait_until_serving(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not start; its messages are above")


def _send(request: Request, port: int) -> Seen:
    """Send it as often as it says; the last answer."""
    received = b""
    for _ in range(request.times):
        received = _exchange(request.wire, port)
    return Seen(request, Answer.parse(received))


def _exchange(wire: bytes, port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS_MAX) as connection:
        connection.sendall(wire)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def _with_events(seen: list[Seen], environment: dict[str, str]) -> Iterator[Seen]:
    """Add to each request what the guard recorded; its workers write within a moment of the answer."""
    wanted = {one.answer.request_id for one in seen if one.answer.request_id}
    by_request: dict[str, list[dict[str, object]]] = {}
    for _ in range(10):
        lines = _flask(environment, "bsguard", "events", "list", "--limit", "10000", "--json").splitlines()
        by_request = {}
        for event in map(json.loads, lines):
            by_request.setdefault(str(event.get("request_id", "")), []).append(event)
        if wanted <= by_request.keys():
            break
    for one in seen:
        yield Seen(one.request, one.answer, tuple(by_request.get(one.answer.request_id, ())))


def _show(seen: Iterator[Seen]) -> int:
    """Print the table; how many answers were unexpected."""
    unexpected = total = 0
    for one in seen:
        total += 1
        unexpected += not one.expected
        mark = "  " if one.expected else "! "
        print(f"{mark}{one.request.name:<52} {one.answer.status}  {one.answer.code or '-':<8} {_reason(one)}")
        if not one.expected:
            print(f"    expected {one.request.status} {one.request.code or '(no code)'}")
    print(f"\n{total - unexpected} of {total} answers were as expected.")
    return unexpected


def _reason(one: Seen) -> str:
    """What the event says: the rule and why, or who was served."""
    acted = sorted((event for event in one.events if "code" in event), key=lambda event: event["event"] != _DENIED)
    if acted:
        return f"{acted[0]['event']}  {acted[0]['rule']}: {acted[0]['reason']}"
    stripped = next((event for event in one.events if event["event"] == "headers.stripped"), None)
    if stripped is not None:
        return f"{stripped['event']}  {', '.join(map(str, _listed(stripped['keys'])))}{_account(one)}"
    finished = next((event for event in one.events if event["event"] == "request.finished"), None)
    if finished is None:
        return "refused by the server before the guard"
    return f"{finished['event']}{_account(one)}  guard {finished['cost_us']} us"


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _account(one: Seen) -> str:
    """The account that the application named, whatever the client claimed."""
    named = {str(event["account"]) for event in one.events if event.get("account")}
    return f"  account {', '.join(sorted(named))}" if named else ""


def _say_how_to_go_on(port: int, secret: str) -> None:
    base = f"http://127.0.0.1:{port}/v1"
    print(f"\nServing on {base}/health until Ctrl-C. Try:\n")
    print(f"  curl -H 'Authorization: Bearer {secret}' {base}/models")
    print(f"  curl -H 'Authorization: Bearer {secret}' -H 'X-Account-Id: victim' {base}/generations")
    print(f"  curl -X POST -d 'a=1' {base}/estimate")
    print("  .venv/bin/flask --app sample_app bsguard events list\n", flush=True)


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
