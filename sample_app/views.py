"""The views that are built, in the contract's order: each reads its input, asks one part, and shows the result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from flask import Response, request
from sqlalchemy import text

from sample_app.catalogue import MediaKind
from sample_app.clock import SECOND_MS, rfc3339
from sample_app.errors import ApiError, ErrorCode
from sample_app.generation_request import MODEL_NAME, read_estimate
from sample_app.generations import Filters, Position, Status
from sample_app.pricing import credits_for, dimensions
from sample_app.requests import read_choice, read_json, read_limit, read_query
from sample_app.responses import success

if TYPE_CHECKING:
    from sample_app.access_control import Principal
    from sample_app.catalogue import Catalogue, Model
    from sample_app.database import Database
    from sample_app.generations import Generation, GenerationStore

# How long an event-stream client waits before it comes back for what is newer.
STREAM_RETRY_MS: Final = 2 * SECOND_MS


@dataclass(frozen=True, slots=True)
class ServiceViews:
    """Health."""

    database: Database
    region: str

    def health(self) -> Response:
        """Whether the database answers. A failure is answered with 503 like everywhere else."""
        read_query(request.args, ())
        with self.database.reading() as connection:
            connection.execute(text("SELECT 1"))
        return success({"state": "ok", "region": self.region, "checks": {"database": "ok"}})


@dataclass(frozen=True, slots=True)
class CatalogueViews:
    """Models and prices."""

    catalogue: Catalogue

    def list_models(self, _principal: Principal) -> Response:
        """The models, all or of one kind."""
        query = read_query(request.args, ("kind",))
        found = self.catalogue.list(read_choice(query, "kind", MediaKind))
        return success({"models": [_show_model(model) for model in found]})

    def estimate(self, _principal: Principal) -> Response:
        """The price of a generation."""
        read_query(request.args, ())
        name, asked = read_estimate(read_json(request))
        model = self.catalogue.find(name)
        if model is None:
            raise ApiError(ErrorCode.MODEL_NOT_FOUND)
        priced = dimensions(model, asked)
        video = model.kind is MediaKind.VIDEO
        return success(
            {
                "model": model.name,
                "credits": credits_for(model, priced),
                "priced": {
                    "generation_output_number": priced.output_number,
                    "generation_duration": priced.duration if video else None,
                    "generation_resolution": priced.resolution,
                    "generation_generate_audio": priced.generate_audio if video else None,
                },
            }
        )


@dataclass(frozen=True, slots=True)
class GenerationViews:
    """Reading generations."""

    store: GenerationStore

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
                "generations": [_show_generation(each) for each in page.generations],
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
            return _stream(found, request.headers.get("Last-Event-ID"))
        return success(_show_generation(found))


def generate_image(principal: Principal, model: str) -> NoReturn:
    """Start an image."""
    not_built(principal, model=model)


def generate_video(principal: Principal, model: str) -> NoReturn:
    """Start a video."""
    not_built(principal, model=model)


def not_built(*_arguments: object, **_path: object) -> NoReturn:
    """Stands for the operations of the contract that are still to come."""
    raise ApiError(ErrorCode.NOT_IMPLEMENTED)


def _stream(generation: Generation, last_event: str | None) -> Response:
    """What is new since *last_event*, after which the client comes back.

    HTML Standard, section 9.2: "Clients will reconnect if the connection is closed; a client can be told to stop
    reconnecting using the HTTP 204 No Content response code."
    """
    version = str(generation.version)
    if last_event == version and generation.status.final:
        return Response(status=204)
    lines = [f"retry: {STREAM_RETRY_MS}"]
    if last_event != version:
        data = json.dumps(_show_generation(generation), separators=(",", ":"))
        lines += [f"id: {version}", "event: generation", f"data: {data}"]
    return Response("\n".join(lines) + "\n\n", content_type="text/event-stream; charset=utf-8")


def _show_generation(generation: Generation) -> dict[str, Any]:
    failure = generation.failure
    return {
        "generation_id": generation.generation_id,
        "kind": generation.kind,
        "model": generation.model,
        "status": generation.status,
        "version": generation.version,
        "request": generation.request,
        "credits": generation.credits,
        "provider": generation.provider,
        "outputs": [{"file_id": file_id, "url": f"/v1/files/{file_id}"} for file_id in generation.outputs],
        "failure": None if failure is None else {"code": failure[0], "message": failure[1]},
        "created_at": rfc3339(generation.created_at),
        "updated_at": rfc3339(generation.updated_at),
    }


def _show_model(model: Model) -> dict[str, Any]:
    options, price = model.options, model.price
    video = model.kind is MediaKind.VIDEO
    return {
        "model": model.name,
        "kind": model.kind,
        "title": model.title,
        "providers": model.providers,
        "ratios": options.ratios,
        "output_formats": options.output_formats,
        "output_number_max": options.output_number_max,
        "input_file": options.input_file,
        "durations": options.durations,
        "resolutions": options.resolutions,
        "audio": options.audio,
        "defaults": {
            "generation_ratio": options.ratios[0],
            "generation_output_format": options.output_formats[0],
            "generation_output_number": 1,
            "generation_duration": options.durations[0] if video else None,
            "generation_resolution": options.resolutions[0],
            "generation_generate_audio": False if video else None,
        },
        "pricing": {
            "resolutions": [
                {
                    "generation_resolution": resolution,
                    "credits_per_output": price.per_output[resolution],
                    "credits_per_second": price.per_second[resolution],
                }
                for resolution in options.resolutions
            ],
            "credits_per_second_audio": price.per_second_audio,
        },
    }
