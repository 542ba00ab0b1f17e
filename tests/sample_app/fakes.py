"""Providers, storage and customers' servers in this process: they answer what a test has written down for them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sample_app.artifact_pipeline import FileRefused, Keeping, Kept, Stored, Winner
from sample_app.catalogue import Provider
from sample_app.deliveries import Sent
from sample_app.edges import Edges
from sample_app.providers.port import (
    Accepted,
    CancelRequested,
    Failed,
    Finished,
    Notice,
    Output,
    Reason,
    Spend,
    Unknown,
    WebhookRefused,
    Working,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sample_app.attempts import Attempt
    from sample_app.generations import Generation
    from sample_app.providers.port import Cancelled, Found, Order, Progress, Submitted

SIGNATURE = "signed"
SPEND = Spend(40_000, reported=False)
DUE = Spend(50_000, reported=True)


def finished(provider_id: str = "job", outputs: int = 1) -> Finished:
    made = tuple(Output(f"https://files.example/{provider_id}/{number}") for number in range(outputs))
    return Finished(provider_id, made, DUE)


def failed(provider_id: str = "job", reason: Reason = Reason.PROVIDER_FAILED) -> Failed:
    return Failed(provider_id, reason, Spend(0, reported=True))


@dataclass
class FakePort:
    """One provider. Answers are given in order; the last one is given for ever."""

    provider: Provider
    submits: list[Submitted] = field(default_factory=lambda: [finished()])
    polls: list[Progress] = field(default_factory=lambda: [Unknown(Reason.TIMED_OUT)])
    finds: list[Found] = field(default_factory=lambda: [Unknown(Reason.UNSUPPORTED)])
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    #: Whether its reports say what it charges.
    charges: bool = True
    #: Called in the middle of a submit, as when a webhook comes before the answer.
    meanwhile: Any = None

    def quote(self, order: Order) -> Spend:
        return SPEND

    def submit(self, order: Order, token: str, webhook_url: str) -> Submitted:
        self.calls.append(("submit", order, token, webhook_url))
        if self.meanwhile is not None:
            self.meanwhile(token)
        return _next(self.submits)

    def poll(self, model: str, provider_id: str) -> Progress:
        self.calls.append(("poll", model, provider_id))
        return _next(self.polls)

    def find(self, model: str, token: str, submitted_at: int) -> Found:
        self.calls.append(("find", model, token))
        return _next(self.finds)

    def cancel(self, model: str, provider_id: str) -> Cancelled:
        self.calls.append(("cancel", model, provider_id))
        return CancelRequested()

    def download_headers(self, url: str) -> Mapping[str, str]:
        return {}

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notice:
        given = {name.lower(): value for name, value in headers.items()}
        if given.get("webhook-signature") != SIGNATURE:
            raise WebhookRefused("bad_signature")
        told = json.loads(raw_body)
        answers = {"working": Working(told["id"]), "finished": finished(told["id"]), "failed": failed(told["id"])}
        progress = answers[told["status"]]
        if isinstance(progress, Finished) and not self.charges:
            progress = replace(progress, spend=None)
        return Notice(given["webhook-id"], progress)

    def asked(self, what: str) -> int:
        return sum(call[0] == what for call in self.calls)


def _next(answers: list[Any]) -> Any:
    return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass
class FakeArtifacts:
    """A storage in memory that fetches whatever it is told to."""

    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    winners: dict[str, Winner] = field(default_factory=dict)
    answers: list[Keeping | None] = field(default_factory=lambda: [None])

    def keep(self, generation: Generation, attempt: Attempt, outputs: Sequence[Output], output_format: str) -> Keeping:
        answer = _next(self.answers)
        if answer is not None:
            return answer
        media_type = f"{generation.kind}/{output_format}"
        stored = []
        for index, output in enumerate(outputs):
            key = f"{generation.account_id}/{generation.generation_id}/{attempt.number}/{index}"
            stored.append(self._put(key, output.url.encode(), media_type))
        winner = Winner(attempt.number, tuple(stored))
        return Kept(self.winners.setdefault(generation.generation_id, winner))

    def winner(self, account_id: str, generation_id: str) -> Winner | None:
        return self.winners.get(generation_id)

    def put(self, key: str, chunks: Iterable[bytes], media_type: str, bytes_max: int) -> Stored:
        body = b"".join(chunks)
        if len(body) > bytes_max:
            raise FileRefused(too_large=True)
        if media_type == "image/png" and not body.startswith(b"\x89PNG"):
            raise FileRefused
        return self._put(key, body, media_type)

    def open(self, key: str) -> Iterator[bytes]:
        return iter([self.files[key][0]])

    def link(self, key: str, seconds: int) -> str | None:
        return None

    def delete(self, key: str) -> None:
        self.files.pop(key, None)

    def _put(self, key: str, body: bytes, media_type: str) -> Stored:
        self.files[key] = (body, media_type)
        return Stored(key, media_type, len(body), hashlib.sha256(body).hexdigest())


@dataclass
class FakeSender:
    """Customers' servers."""

    answers: list[Sent] = field(default_factory=lambda: [Sent(delivered=True, outcome="200")])
    sent: list[tuple[str, str, str, bytes]] = field(default_factory=list)

    def send(self, url: str, secret: str, event_id: str, sent_at: int, body: bytes) -> Sent:
        self.sent.append((url, secret, event_id, body))
        return _next(self.answers)

    def wait_seconds(self, tries: int) -> float | None:
        return 5.0 if tries < 3 else None


def fake_edges() -> Edges:
    return Edges({each: FakePort(each) for each in Provider}, FakeArtifacts(), FakeSender())


ACCEPTED = Accepted("job")
