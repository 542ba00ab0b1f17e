"""The tour's story: an account pays for generations, providers fail on them, and the books stay right.

Every step is a real request to the running service, which calls simulated providers over HTTP; each checks what it got.
"""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HOST: Final = "api.us.babysea.ai"
_WAIT_SECONDS_MAX: Final = 15.0
_LOOK_SECONDS: Final = 0.1
_CREDITS: Final = 1_000
_ENDED: Final = ("succeeded", "failed", "cancelled", "expired")


@dataclass(frozen=True, slots=True)
class Told:
    """One step: what was done, what came of it, and whether that is what should."""

    name: str
    outcome: str
    expected: bool


@dataclass(slots=True)
class Story:
    """A client of one account. *command* runs an operator's command and returns what it prints."""

    port: int
    key: str
    command: Callable[..., str]
    _spent: int = field(default=0)

    def steps(self) -> Iterator[Told]:
        """Every step, one after another."""
        yield self._without_credits()
        yield self._top_up()
        yield self._image()
        yield self._video()
        yield self._failover()
        yield self._lost_answer()
        yield self._cancel()
        yield self._late()
        yield self._usage()
        yield self._books()

    def _without_credits(self) -> Told:
        status, _, body = self._call("POST", "/v1/generate/image/reef-1", {"generation_prompt": "a reef"})
        error = body["error"]
        said = (status, error.get("required"), error.get("available"))
        return Told("an image, without credits", f"402: {error.get('required')} needed, 0 there", said == (402, 3, 0))

    def _top_up(self) -> Told:
        once = {"Idempotency-Key": "tour-payment-1"}
        first = self._call("POST", "/v1/billing/topups", {"credits": _CREDITS}, once)
        again = self._call("POST", "/v1/billing/topups", {"credits": _CREDITS}, once)
        other = self._call("POST", "/v1/billing/topups", {"credits": 1}, once)
        right = [first[0], again[0], other[0]] == [201, 201, 422] and first[2]["data"] == again[2]["data"]
        available = again[2]["data"]["available"]
        return Told(
            "top up, twice with one key, then another amount", f"{available} credits", right and available == 1_000
        )

    def _image(self) -> Told:
        seen = self._finish(self._start("image", "reef-1", "a reef at dawn"))
        self._spent += seen["credits"]
        location = self._call("GET", seen["outputs"][0]["url"])[1].get("Location", "")
        # The address alone opens the file, so it goes without the key.
        status, headers, content = self._raw("GET", location, {})
        right = (seen["status"], status, headers.get("Content-Type")) == ("succeeded", 200, "image/png")
        outcome = f"{seen['status']} by {seen['provider']}, {len(content)} bytes of {headers.get('Content-Type')}"
        return Told("an image, and its file", outcome, right and content.startswith(b"\x89PNG"))

    def _video(self) -> Told:
        started = self._start("video", "current-1", "waves at a pier", generation_generate_audio=True)
        path = f"/v1/generations/{started}"
        stream = {"Accept": "text/event-stream", "Last-Event-ID": "1"}
        _, _, content = self._raw("GET", path, self._signed(stream))
        events = [json.loads(line[6:]) for line in content.decode().splitlines() if line.startswith("data: ")]
        states = [event["status"] for event in events]
        self._spent += events[-1]["credits"] if events else 0
        ended, _, _ = self._raw("GET", path, self._signed(stream | {"Last-Event-ID": str(len(events) + 1)}))
        right = states[:1] == ["reserved"] and states[-1:] == ["succeeded"] and ended == 204
        return Told("a video, followed as an event stream", " > ".join(states), right)

    def _failover(self) -> Told:
        seen = self._finish(self._start("image", "reef-1", "a reef simulate:replicate:fails"))
        self._spent += seen["credits"]
        right = (seen["status"], seen["provider"]) == ("succeeded", "fal")
        return Told("a provider fails, the next one takes over", f"{seen['status']} by {seen['provider']}", right)

    def _lost_answer(self) -> Told:
        seen = self._finish(self._start("image", "reef-1", "a reef simulate:replicate:hangs_up_after_work"))
        self._spent += seen["credits"]
        made = self._attempts(seen["generation_id"])
        right = (seen["status"], len(made)) == ("succeeded", 1)
        outcome = f"{seen['status']} by {seen['provider']}, {len(made)} attempt: nobody is paid twice"
        return Told("a provider hangs up after the work", outcome, right)

    def _cancel(self) -> Told:
        started = self._start("image", "reef-1", "a reef simulate:replicate:slow")
        self._wait(started, "running")
        status, _, body = self._call("POST", f"/v1/generations/{started}/cancel")
        right = (status, body["data"]["status"]) == (200, "cancelled")
        return Told("cancelled while it runs", f"{body['data']['status']}, credits given back", right)

    def _late(self) -> Told:
        started = self._start("image", "reef-1", "a reef simulate:replicate:success_after_cancel")
        self._wait(started, "running")
        self._call("POST", f"/v1/generations/{started}/cancel")
        deadline = time.monotonic() + _WAIT_SECONDS_MAX
        made = self._attempts(started)
        while made[0]["state"] != "late" and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            made = self._attempts(started)
        seen = self._see(started)
        right = (seen["status"], seen["outputs"], made[0]["state"]) == ("cancelled", [], "late")
        spend = made[0]["spend_micro_usd"]
        outcome = f"still {seen['status']}; attempt {made[0]['state']}, {spend} micro-USD for the operator"
        return Told("a provider succeeds after the cancellation", outcome, right)

    def _usage(self) -> Told:
        _, _, body = self._call("GET", "/v1/usage?limit=100")
        usage = body["data"]
        right = (usage["available"], usage["reserved"]) == (_CREDITS - self._spent, 0)
        charges = sum(entry["type"] == "charge" for entry in usage["entries"])
        outcome = (
            f"{charges} charges, {self._spent} credits spent, {usage['available']} left, {usage['reserved']} reserved"
        )
        return Told("what it has cost", outcome, right and charges == 4)

    def _books(self) -> Told:
        said = self.command("bsguard", "billing", "audit").strip()
        return Told("the audit of the books", said, said == "the books are right")

    def _start(self, kind: str, model: str, prompt: str, **fields: object) -> str:
        _, _, body = self._call("POST", f"/v1/generate/{kind}/{model}", {"generation_prompt": prompt, **fields})
        return str(body["data"]["generation_id"])

    def _finish(self, generation_id: str) -> dict[str, Any]:
        return self._wait(generation_id, *_ENDED)

    def _wait(self, generation_id: str, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + _WAIT_SECONDS_MAX
        seen = self._see(generation_id)
        while seen["status"] not in states and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            seen = self._see(generation_id)
        return seen

    def _see(self, generation_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", f"/v1/generations/{generation_id}")[2]["data"]
        return found

    def _attempts(self, generation_id: str) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = json.loads(self.command("control-plane", "show", generation_id, "--json"))[
            "attempts"
        ]
        return shown

    def _call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        sent = self._signed(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        status, answered, content = self._raw(method, path, sent, None if body is None else json.dumps(body).encode())
        return status, answered, json.loads(content) if content else {}

    def _signed(self, headers: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", **headers}

    def _raw(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT_SECONDS_MAX + 10)
        try:
            connection.request(method, path, body, {"Host": _HOST, **headers})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()
