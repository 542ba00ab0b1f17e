"""The views that start, follow and cancel generations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import Response, request

from sample_app.admission import Wish
from sample_app.catalogue import MediaKind
from sample_app.errors import ApiError, ErrorCode
from sample_app.generation_request import MODEL_NAME, read_generation, read_named
from sample_app.generations import Filters, Position, Status
from sample_app.representations import show_generation
from sample_app.requests import read_choice, read_idempotency_key, read_json, read_limit, read_query, refuse_body
from sample_app.responses import success

if TYPE_CHECKING:
    from sample_app.access_control import Principal
    from sample_app.admission import Admission
    from sample_app.cancelling import Cancelling
    from sample_app.event_streams import EventStreams
    from sample_app.generation_request import GenerationRequest
    from sample_app.generations import Generation, GenerationStore
    from sample_app.runner import Runner

_VERSION: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class GenerationViews:
    """Generations of an account."""

    store: GenerationStore
    admission: Admission
    cancelling: Cancelling
    streams: EventStreams
    runner: Runner

    def start_image(self, principal: Principal, model: str) -> Response:
        """Start an image."""
        read_query(request.args, ())
        return self._start(principal, "generateImage", MediaKind.IMAGE, model, read_generation(read_json(request)))

    def start_video(self, principal: Principal, model: str) -> Response:
        """Start a video."""
        read_query(request.args, ())
        return self._start(principal, "generateVideo", MediaKind.VIDEO, model, read_generation(read_json(request)))

    def start_trial(self, principal: Principal) -> Response:
        """Start a generation of any model, from the playground."""
        read_query(request.args, ())
        model, asked = read_named(read_json(request))
        return self._start(principal, "runPlayground", None, model, asked)

    def list_generations(self, principal: Principal) -> Response:
        """One page of the account's generations."""
        query = read_query(request.args, ("limit", "cursor", "kind", "status", "model"))
        model = query.get("model")
        if model is not None and not MODEL_NAME.fullmatch(model):
            raise ApiError(ErrorCode.INVALID_PARAMETER, "model must be the name of a model.")
        page = self.store.page(
            principal.account_id,
            Filters(
                kind=read_choice(query, "kind", MediaKind), status=read_choice(query, "status", Status), model=model
            ),
            after=Position.decode(query["cursor"]) if "cursor" in query else None,
            rows_max=read_limit(query),
        )
        return success(
            {
                "generations": [show_generation(each) for each in page.generations],
                "next_cursor": page.next.encode() if page.next else None,
            }
        )

    def get_generation(self, principal: Principal, generation_id: str) -> Response:
        """One generation, as JSON or as an event stream."""
        read_query(request.args, ())
        found = self.store.find(principal.account_id, generation_id)
        if found is None:
            raise ApiError(ErrorCode.GENERATION_NOT_FOUND)
        wanted = request.accept_mimetypes.best_match(("application/json", "text/event-stream"))
        if wanted == "text/event-stream":
            return self._stream(principal, found, request.headers.get("Last-Event-ID", ""))
        return success(show_generation(found))

    def cancel(self, principal: Principal, generation_id: str) -> Response:
        """End a generation that has not ended."""
        read_query(request.args, ())
        refuse_body(request)
        ended = self.cancelling.cancel(principal.account_id, generation_id)
        self.runner.wake(generation_id)
        return success(show_generation(ended))

    def _start(
        self, principal: Principal, operation: str, kind: MediaKind | None, model: str, asked: GenerationRequest
    ) -> Response:
        key = read_idempotency_key(request)
        shown = self.admission.start(Wish(principal.account_id, operation, kind, model, asked, key))
        self.runner.wake(shown["generation_id"])
        response = success(shown, 202)
        response.headers["Location"] = f"/v1/generations/{shown['generation_id']}"
        return response

    def _stream(self, principal: Principal, generation: Generation, last_event: str) -> Response:
        """What is new since *last_event*.

        HTML Standard, section 9.2: "Clients will reconnect if the connection is closed; a client can be told to stop
        reconnecting using the HTTP 204 No Content response code."
        """
        seen = int(last_event) if _VERSION.fullmatch(last_event) else None
        if generation.status.final and seen is not None and seen >= generation.version:
            return Response(status=204)
        # Whoever comes for the first time gets the present; whoever comes back gets what was missed.
        version = generation.version - 1 if seen is None else min(seen, generation.version)
        events = self.streams.follow(principal.key_id, generation.generation_id, version)
        return Response(events, content_type="text/event-stream; charset=utf-8")
