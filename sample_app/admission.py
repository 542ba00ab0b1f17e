"""Admission: from an accepted request to a generation that is paid for, in one transaction.

Generation first, then the reservation: every credit that is held belongs to a generation that is written down. Who
cannot pay, or asks for too much at once, leaves nothing behind.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from sample_app import event_system, files, generations, idempotency
from sample_app.crash_points import passing
from sample_app.errors import ApiError, ErrorCode
from sample_app.generation_request import show_fields
from sample_app.generations import UNFINISHED, Generation, Status
from sample_app.pricing import credits_for, dimensions
from sample_app.representations import show_generation
from sample_app.tables import generations as generations_table

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from sample_app.catalogue import Catalogue, MediaKind, Model, Provider
    from sample_app.clock import Clock
    from sample_app.credit_lifecycle import CreditLifecycle
    from sample_app.database import Database
    from sample_app.generation_request import GenerationRequest
    from sample_app.idempotency import Act


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. ``kind`` is None where any model will do; ``key`` is the Idempotency-Key, if any."""

    account_id: str
    operation: str
    kind: MediaKind | None
    model: str
    request: GenerationRequest
    key: str | None


@dataclass(frozen=True, slots=True)
class Admission:
    """Starts generations. ``unfinished_max`` is how many an account may have at once."""

    database: Database
    catalogue: Catalogue
    credits: CreditLifecycle
    configured: Collection[Provider]
    clock: Clock
    unfinished_max: int

    def start(self, wish: Wish) -> dict[str, Any]:
        """The new generation as the API shows it, or the one that was started under the same key before.

        Raises:
            ApiError: if it is not started; nothing is stored or reserved then.
        """
        generation = self._generation(wish)
        act = self._act(wish)
        with self.database.writing() as connection:
            if act is not None:
                before = idempotency.claim(connection, act, self.clock())
                if before is not None:
                    return before
            if wish.request.input_file is not None:
                self._check_input(connection, wish.account_id, wish.request.input_file)
            started = self._reserve(connection, generation)
            shown = show_generation(started)
            if act is not None:
                idempotency.keep(connection, act, shown)
            passing("start.writing")
        passing("start.done")
        return shown

    def _generation(self, wish: Wish) -> Generation:
        model = self.catalogue.find(wish.model)
        if model is None or wish.kind not in (None, model.kind):
            raise ApiError(ErrorCode.MODEL_NOT_FOUND)
        if wish.request.prompt is None:
            raise ApiError(ErrorCode.INVALID_BODY, "generation_prompt is missing.")
        price = credits_for(model, dimensions(model, wish.request))
        self._check_providers(model, wish.request)
        now = self.clock()
        return Generation(
            generation_id=f"gen_{secrets.token_hex(16)}",
            account_id=wish.account_id,
            kind=model.kind,
            model=model.name,
            status=Status.ACCEPTED,
            version=1,
            request=show_fields(wish.request),
            credits=price,
            provider=None,
            outputs=(),
            failure=None,
            created_at=now,
            updated_at=now,
        )

    def _check_providers(self, model: Model, request: GenerationRequest) -> None:
        if not any(each in self.configured for each in request.provider_order or model.providers):
            raise ApiError(ErrorCode.NO_PROVIDER, headers={"Retry-After": "60"})

    def _check_input(self, connection: Connection, account_id: str, file_id: str) -> None:
        found = files.find(connection, file_id, self.clock())
        if found is None or found.account_id != account_id:
            raise ApiError(ErrorCode.INPUT_FILE_NOT_FOUND)

    def _reserve(self, connection: Connection, generation: Generation) -> Generation:
        generations.add(connection, generation, due_at=None)
        event_system.record(connection, generation)
        self.credits.reserve(connection, generation)
        # From here on the account is locked, so nobody else counts at the same time.
        columns = generations_table.c
        unfinished = connection.execute(
            select(func.count()).where(columns.account_id == generation.account_id, columns.status.in_(UNFINISHED))
        ).scalar_one()
        if unfinished > self.unfinished_max:
            raise ApiError(ErrorCode.TOO_MANY_RUNNING, headers={"Retry-After": "5"})
        moved = generations.move(
            connection,
            generation.generation_id,
            Status.RESERVED,
            generation.created_at,
            come_from=(Status.ACCEPTED,),
            due_at=generation.created_at,
        )
        started = moved or replace(generation)
        event_system.record(connection, started)
        return started

    def _act(self, wish: Wish) -> Act | None:
        if wish.key is None:
            return None
        parameters = {"model": wish.model} | show_fields(wish.request)
        return idempotency.Act(wish.account_id, wish.operation, wish.key, parameters)
