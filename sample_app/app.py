"""Puts the control plane together: settings, parts, routes, and the guard around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from bsguard import BSGuard
from sample_app.access_control import AccessControl
from sample_app.api_keys import ApiKeyStore
from sample_app.cli import group
from sample_app.clock import Clock, system_clock
from sample_app.config import configure
from sample_app.database import Database
from sample_app.generations import GenerationStore
from sample_app.models import CATALOGUE
from sample_app.operations import add_operations, operations
from sample_app.plan_limits import PlanLimits
from sample_app.responses import handle_errors
from sample_app.services import EXTENSION, ControlPlane
from sample_app.views import CatalogueViews, GenerationViews, ServiceViews

if TYPE_CHECKING:
    from collections.abc import Mapping


class _ContractOrder(DefaultJSONProvider):
    """Answers keep the contract's order of fields, which Flask would sort by name."""

    sort_keys = False


def create_app(config: Mapping[str, object] | None = None, *, clock: Clock = system_clock) -> Flask:
    """Make the app, guarded and ready to serve.

    *config* wins over the environment, which wins over the defaults (``sample_app.config`` has them). *clock* tells
    the time in milliseconds. Nothing is opened or written before the first request or command needs it.

    Raises:
        SettingsError: if the ``CONTROL_PLANE_*`` settings cannot be used; the guard reports ``BSGUARD_*`` itself.
    """
    app = Flask(__name__, static_folder=None)
    settings = configure(app.config, config, app.instance_path)
    app.json = _ContractOrder(app)

    database = Database(settings.database_url)
    keys = ApiKeyStore(database, clock)
    generations = GenerationStore(database)
    app.extensions[EXTENSION] = ControlPlane(settings, clock, database, keys, generations)

    handle_errors(app)
    service, catalogue = ServiceViews(database, settings.region), CatalogueViews(CATALOGUE)
    BSGuard(app)
    add_operations(
        app,
        operations(service, catalogue, GenerationViews(generations), PlanLimits(app)),
        AccessControl(keys, clock, settings.cron_secret),
    )
    app.cli.add_command(group)
    return app
