"""Starting and stopping simulated providers, as processes of their own: for the tour and for tests."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sample_app.outbound.addresses import Reach
from sample_app.outbound.exchange import Outbound
from sample_app.simulated.engine import Pace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sample_app.simulated.faults import Fault

PROVIDERS: Final = ("replicate", "fal", "openrouter")
_ROOT: Final = Path(__file__).resolve().parents[2]
_STOP_SECONDS_MAX: Final = 10
_OUTBOUND: Final = Outbound(Reach(private=True))


@dataclass(frozen=True, slots=True)
class Simulated:
    """A running simulated provider."""

    provider: str
    url: str
    token: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    process: subprocess.Popen[str] = field(repr=False)

    def ledger(self) -> dict[str, Any]:
        """Everything that it did and charged."""
        loaded: dict[str, Any] = json.loads(_OUTBOUND.exchange("GET", f"{self.url}/_control/ledger", {}).body)
        return loaded

    def tell(self, contains: str, fault: Fault) -> None:
        """Orders whose prompt contains this text have this fault from now on."""
        body = json.dumps({"contains": contains, "fault": fault}).encode()
        _OUTBOUND.exchange("POST", f"{self.url}/_control/rules", {}, body)

    def reset(self) -> None:
        """Forget all rules and orders."""
        _OUTBOUND.exchange("POST", f"{self.url}/_control/reset", {})

    def settings(self) -> dict[str, str]:
        """The environment that points the control plane at this provider."""
        name = f"CONTROL_PLANE_{self.provider.upper()}"
        pointed = {f"{name}_URL": self.url, f"{name}_TOKEN": self.token, f"{name}_OUTPUT_HOSTS": "127.0.0.1"}
        if self.provider == "fal":
            return pointed | {f"{name}_KEYS_URL": f"{self.url}/.well-known/jwks.json"}
        return pointed | {f"{name}_WEBHOOK_SECRETS": self.webhook_secret}


@contextmanager
def running(provider: str, pace: Pace | None = None) -> Iterator[Simulated]:
    """Start one provider on a free port of loopback, and stop it at the end."""
    pace = pace or Pace()
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    token = secrets.token_hex(16)
    command = [
        *(sys.executable, "-m", "sample_app.simulated", provider),
        *("--run-seconds", str(pace.run), "--slow-seconds", str(pace.slow)),
        *("--late-seconds", str(pace.webhook_late), "--hold-seconds", str(pace.hold)),
    ]
    environment = {**os.environ, "SIMULATED_TOKEN": token, "SIMULATED_WEBHOOK_SECRET": secret}
    process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError(f"the simulated {provider} did not start; its messages are above")
        yield Simulated(provider, json.loads(line)["url"], token, secret, process)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def all_running(pace: Pace | None = None) -> Iterator[dict[str, Simulated]]:
    """Start all three."""
    with ExitStack() as stack:
        yield {provider: stack.enter_context(running(provider, pace)) for provider in PROVIDERS}
