"""An account with a hundred credits, one service, and what a test does with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sample_app import attempts
from sample_app.jobs import Job
from tests.sample_app.fakes import SIGNATURE

if TYPE_CHECKING:
    from sample_app.attempts import Attempt
    from tests.sample_app.support import Service

SECOND = 1_000


@dataclass
class Story:
    """One service, one account with a hundred credits, and what a test does with them."""

    service: Service
    headers: dict[str, str]
    generation_id: str = ""

    def start(self, **fields: Any) -> dict[str, Any]:
        body = {"generation_prompt": "a reef", **fields}
        response = self.service.call("POST", "/v1/generate/image/reef-1", headers=self.headers, json=body)
        assert response.status_code == 202, response.get_json()
        self.generation_id = response.get_json()["data"]["generation_id"]
        return self.see()

    def see(self) -> dict[str, Any]:
        shown = self.service.call("GET", f"/v1/generations/{self.generation_id}", headers=self.headers)
        found: dict[str, Any] = shown.get_json()["data"]
        return found

    def sweep(self, seconds: float = 0) -> dict[str, Any]:
        self.service.clock.now += int(seconds * SECOND)
        assert self.service.parts.jobs.run(Job.SWEEP) is not None
        return self.see()

    def attempts(self) -> tuple[Attempt, ...]:
        with self.service.parts.database.reading() as connection:
            return attempts.of(connection, self.generation_id)

    def states(self) -> list[tuple[str, str]]:
        return [(each.provider, each.state) for each in self.attempts()]

    def balance(self) -> tuple[int, int]:
        found = self.service.parts.database.ledger.balance("acme")
        return found.available, found.reserved

    def report(self, provider: str, token: str, status: str, event: str = "1", job: str = "job", sig: str = SIGNATURE):  # type: ignore[no-untyped-def]
        headers = {"webhook-id": event, "webhook-timestamp": "1776600000", "webhook-signature": sig}
        path = f"/v1/webhooks/{provider}?attempt={token}"
        return self.service.call("POST", path, headers=headers, json={"id": job, "status": status})

    def cancel(self) -> Any:
        return self.service.call("POST", f"/v1/generations/{self.generation_id}/cancel", headers=self.headers)
