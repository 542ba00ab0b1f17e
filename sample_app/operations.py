"""The fifteen operations of the contract: one visible table of who may call what, and what answers.

The OpenAPI document says the same; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from flask import Flask, request

from sample_app.api_keys import Scope
from sample_app.plan_limits import IMAGES, VIDEOS

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

    from sample_app.access_control import AccessControl
    from sample_app.billing_views import BillingViews
    from sample_app.callback_views import CallbackViews
    from sample_app.file_views import FileViews
    from sample_app.generation_views import GenerationViews
    from sample_app.plan_limits import PlanLimits
    from sample_app.views import CatalogueViews, ServiceViews

    #: A view that gets the principal, and what is in the path.
    AccountView = Callable[..., Response]


class Access(Enum):
    """Ways in that are not an API key's scope."""

    OPEN = auto()
    """Nobody is asked here: anybody may call it, or it has credentials of its own that its view checks."""

    CRON = auto()
    """The scheduler's secret."""

    PLAYGROUND = auto()
    """A playground key, or a dashboard session with its token."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row. ``rule`` is a Flask URL rule; the view gets the principal first if ``access`` names one.

    ``signed`` is the view for an address with a signature, which it checks itself.
    """

    operation_id: str
    method: str
    rule: str
    access: Access | Scope
    view: Callable[..., Response]
    signed: Callable[..., Response] | None = None


@dataclass(frozen=True, slots=True)
class Views:
    """All views, by subject."""

    service: ServiceViews
    catalogue: CatalogueViews
    generations: GenerationViews
    files: FileViews
    billing: BillingViews
    callbacks: CallbackViews


def operations(views: Views, plan: PlanLimits) -> tuple[Operation, ...]:
    """The table."""
    service, catalogue, generations = views.service, views.catalogue, views.generations
    image = plan.limited(IMAGES, "images", generations.start_image)
    video = plan.limited(VIDEOS, "videos", generations.start_video)
    file, generation = "/v1/files/<file_id>", "/v1/generations/<generation_id>"
    return (
        Operation("getHealth", "GET", "/v1/health", Access.OPEN, service.health),
        Operation("listModels", "GET", "/v1/models", Scope.READ, catalogue.list_models),
        Operation("estimateCost", "POST", "/v1/estimate", Scope.READ, catalogue.estimate),
        Operation("generateImage", "POST", "/v1/generate/image/<model>", Scope.GENERATE, image),
        Operation("generateVideo", "POST", "/v1/generate/video/<model>", Scope.GENERATE, video),
        Operation("listGenerations", "GET", "/v1/generations", Scope.READ, generations.list_generations),
        Operation("getGeneration", "GET", generation, Scope.READ, generations.get_generation),
        Operation("cancelGeneration", "POST", f"{generation}/cancel", Scope.GENERATE, generations.cancel),
        Operation("downloadFile", "GET", file, Scope.READ, views.files.download, signed=views.files.serve),
        Operation("uploadFile", "POST", "/v1/files", Scope.GENERATE, views.files.upload),
        Operation("getUsage", "GET", "/v1/usage", Scope.BILLING_READ, views.billing.usage),
        Operation("createTopup", "POST", "/v1/billing/topups", Scope.BILLING, views.billing.topup),
        Operation("runPlayground", "POST", "/v1/playground", Access.PLAYGROUND, generations.start_trial),
        Operation("receiveProviderWebhook", "POST", "/v1/webhooks/<provider>", Access.OPEN, views.callbacks.receive),
        Operation("runCronJob", "POST", "/v1/cron/<job>", Access.CRON, views.callbacks.run_job),
    )


def add_operations(app: Flask, table: tuple[Operation, ...], access_control: AccessControl) -> None:
    """Give *app* a route for each row, with access control in front of its view."""
    # One spelling for each path: `/v1//health` is not found rather than redirected.
    app.url_map.merge_slashes = False
    for operation in table:
        app.add_url_rule(
            operation.rule,
            endpoint=operation.operation_id,
            view_func=_guarded(operation, access_control),
            methods=[operation.method],
        )


def _guarded(operation: Operation, access_control: AccessControl) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        if operation.signed is not None and "signature" in request.args:
            return operation.signed(**path)
        if isinstance(operation.access, Scope):
            principal = access_control.require_scope(request.headers.get("Authorization"), operation.access)
            return operation.view(principal, **path)
        if operation.access is Access.PLAYGROUND:
            return operation.view(access_control.require_playground(request), **path)
        if operation.access is Access.CRON:
            access_control.require_cron_secret(request.headers.get("X-Cron-Secret"))
        return operation.view(**path)

    return view
