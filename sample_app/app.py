"""Puts the control plane together: settings, parts, routes, and the guard around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from bsguard import BSGuard
from sample_app.access_control import AccessControl
from sample_app.admission import Admission
from sample_app.api_keys import ApiKeyStore
from sample_app.billing_views import BillingViews
from sample_app.callback_views import CallbackViews
from sample_app.cancelling import Cancelling
from sample_app.cli import group
from sample_app.clock import Clock, system_clock
from sample_app.config import configure
from sample_app.credit_lifecycle import CreditLifecycle
from sample_app.database import Database
from sample_app.deliveries import Deliveries
from sample_app.edges import Edges, open_edges
from sample_app.event_streams import EventStreams
from sample_app.file_views import FileViews
from sample_app.generation_views import GenerationViews
from sample_app.generations import GenerationStore
from sample_app.inbox import Inbox
from sample_app.jobs import Jobs, Sweeper
from sample_app.leases import owner
from sample_app.lifecycle import Lifecycle
from sample_app.models import CATALOGUE
from sample_app.operations import Views, add_operations, operations
from sample_app.orders import Orders
from sample_app.plan_limits import PlanLimits
from sample_app.responses import handle_errors
from sample_app.runner import Runner
from sample_app.services import EXTENSION, ControlPlane
from sample_app.signing import INPUT_LINK_SECONDS, Signing
from sample_app.views import CatalogueViews, ServiceViews

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sample_app.config import Settings


class _ContractOrder(DefaultJSONProvider):
    """Answers keep the contract's order of fields, which Flask would sort by name."""

    sort_keys = False


def create_app(
    config: Mapping[str, object] | None = None, *, clock: Clock = system_clock, edges: Edges | None = None
) -> Flask:
    """Make the app, guarded and ready to serve.

    *config* wins over the environment, which wins over the defaults (``sample_app.config`` has them). *clock* tells
    the time in milliseconds. *edges* are providers, storage and customers' servers, for tests that have their own.
    Nothing is opened or written before the first request or command needs it.

    Raises:
        SettingsError: if the ``CONTROL_PLANE_*`` settings cannot be used; the guard reports ``BSGUARD_*`` itself.
    """
    app = Flask(__name__, static_folder=None)
    settings = configure(app.config, config, app.instance_path)
    app.json = _ContractOrder(app)
    edges = edges or open_edges(settings.edges, clock)
    parts = _parts(settings, clock, edges)
    app.extensions[EXTENSION] = parts
    # Where `flask bsguard billing …` looks.
    app.extensions["bsguard_billing"] = parts.database.ledger_engine

    handle_errors(app)
    views = _views(parts, edges)
    BSGuard(app)
    add_operations(
        app,
        operations(views, PlanLimits(app)),
        AccessControl(parts.keys, clock, settings.cron_secret, parts.signing),
    )
    # Not before the first request: a thread does not survive the fork that makes a worker.
    app.before_request(parts.sweeper.start)
    app.cli.add_command(group)
    return app


def _parts(settings: Settings, clock: Clock, edges: Edges) -> ControlPlane:
    database = Database(settings.database_url, clock)
    credit = CreditLifecycle(database.ledger)
    signing = Signing(database, clock, settings.secret_key)
    who = owner()

    def link(file_id: str) -> str:
        return settings.public_url + signing.address(file_id, INPUT_LINK_SECONDS)

    orders = Orders(CATALOGUE, settings.public_url, link)
    lifecycle = Lifecycle(database, credit, edges.ports, orders, edges.artifacts, clock, settings.timing, who)
    runner = Runner(lifecycle.advance, settings.runner_threads)
    deliveries = Deliveries(database, edges.sender, clock)
    jobs = Jobs(database, runner, edges.artifacts, deliveries, clock, who, settings.timing.lease)
    return ControlPlane(
        settings=settings,
        clock=clock,
        database=database,
        keys=ApiKeyStore(database, clock),
        generations=GenerationStore(database),
        credits=credit,
        artifacts=edges.artifacts,
        deliveries=deliveries,
        signing=signing,
        runner=runner,
        jobs=jobs,
        sweeper=Sweeper(jobs, settings.sweep_seconds),
        streams=EventStreams(database, settings.stream_seconds),
        who=who,
    )


def _views(parts: ControlPlane, edges: Edges) -> Views:
    database, clock, settings = parts.database, parts.clock, parts.settings
    admission = Admission(database, CATALOGUE, parts.credits, frozenset(edges.ports), clock, settings.unfinished_max)
    cancelling = Cancelling(database, parts.credits, clock)
    return Views(
        service=ServiceViews(database, settings.region),
        catalogue=CatalogueViews(CATALOGUE),
        generations=GenerationViews(parts.generations, admission, cancelling, parts.streams, parts.runner),
        files=FileViews(database, parts.artifacts, parts.signing, clock),
        billing=BillingViews(database, parts.credits, clock),
        callbacks=CallbackViews(Inbox(database, edges.ports, clock), parts.jobs, parts.runner),
    )
