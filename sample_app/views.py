"""The views of the service itself and of the catalogue: each reads its input, asks one part, and shows the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Response, request
from sqlalchemy import text

from sample_app.catalogue import MediaKind
from sample_app.errors import ApiError, ErrorCode
from sample_app.generation_request import read_named
from sample_app.pricing import credits_for, dimensions
from sample_app.representations import show_model
from sample_app.requests import read_choice, read_json, read_query
from sample_app.responses import success

if TYPE_CHECKING:
    from sample_app.access_control import Principal
    from sample_app.catalogue import Catalogue
    from sample_app.database import Database


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
        return success({"models": [show_model(model) for model in found]})

    def estimate(self, _principal: Principal) -> Response:
        """The price of a generation."""
        read_query(request.args, ())
        name, asked = read_named(read_json(request))
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
