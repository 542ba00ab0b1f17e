"""The three simulated providers as processes, an adapter for each, and a server that takes their webhooks."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from sample_app import edge_settings
from sample_app.clock import system_clock
from sample_app.providers.build import adapters
from sample_app.simulated.engine import Pace
from sample_app.simulated.process import all_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sample_app.providers.port import Notice, ProviderPort
    from sample_app.simulated.process import Simulated

PACE = Pace(run=0.05, slow=1.0, webhook_late=0.8, hold=3.0)


@pytest.fixture(scope="module")
def simulated() -> Iterator[dict[str, Simulated]]:
    with all_running(PACE) as running:
        yield running


@pytest.fixture
def ports(simulated: dict[str, Simulated]) -> dict[str, ProviderPort]:
    return make_ports(simulated)


def make_ports(simulated: dict[str, Simulated], **changed: str) -> dict[str, ProviderPort]:
    config = {"CONTROL_PLANE_PRIVATE_PROVIDERS": "yes", "CONTROL_PLANE_PROVIDER_SECONDS_MAX": "1"}
    for one in simulated.values():
        config |= one.settings()
    problems: list[str] = []
    settings = edge_settings.read(config | changed, "/nowhere", problems)
    assert problems == []
    return {provider.value: port for provider, port in adapters(settings, system_clock).items()}


@dataclass
class Receiver:
    """Takes webhooks and keeps them; answers with ``status``."""

    url: str = ""
    status: int = 200
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def wait(self, token: str, number: int = 1, seconds: float = 5.0) -> list[tuple[dict[str, str], bytes]]:
        """What came for a token, once there are so many."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [(headers, body) for path, headers, body in self.seen if token in path]
            if len(found) >= number:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{len(found)} of {number} webhooks came")

    def address(self, token: str) -> str:
        return f"{self.url}/v1/webhooks/x?attempt={token}"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.seen.append((self.path, dict(self.headers), body))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


def until(port: ProviderPort, model: str, provider_id: str, kind: type, seconds: float = 5.0) -> object:
    """Poll until the answer is of a kind."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = port.poll(model, provider_id)
        if isinstance(answer, kind):
            return answer
        time.sleep(0.02)
    raise AssertionError(f"still {answer}")


def read(port: ProviderPort, delivery: tuple[dict[str, str], bytes]) -> Notice:
    return port.read_webhook(*delivery)
