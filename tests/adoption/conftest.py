"""Runs the blog's own suite in every variant, and looks at the alarms that it raised.

The suite knows nothing of all this: it asks for ``create_app`` and gets the blog's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bsguard.testing import capture_events
from tests.adoption import blog
from tests.adoption.variants import (
    ALARMS_OF_UNDECLARED_FIELDS,
    TRUE_ALARMS,
    TRUE_ALARMS_OF_SURFACES,
    VARIANTS,
    Variant,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

#: What goes with an alarm, and what a declared exception covers.
EXPLAINING = ("rule.matched", "rule.excepted")


@pytest.fixture(
    params=[
        pytest.param(variant, id=variant.name, marks=[pytest.mark.slow] if variant.slow else []) for variant in VARIANTS
    ]
)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


@pytest.fixture
def create_app(variant: Variant, request: pytest.FixtureRequest) -> Iterator[Callable[..., Flask]]:
    made: list[Flask] = []

    def create(*arguments: Any, **options: Any) -> Flask:
        app = blog.create_app(*arguments, **options)
        variant.install(app)
        made.append(app)
        return app

    with capture_events() as events:
        yield create
    for app in made:
        guard = app.extensions.get("bsguard")
        if guard is not None and guard.store is not None:
            guard.store.close()
            guard.overrides.close()

    name = request.node.name.replace(f"{variant.name}-", "").replace(f"[{variant.name}]", "")
    expected = TRUE_ALARMS.get(name, set()) if variant.event else set()
    if variant.name == "enforce, surfaces declared":
        expected = expected | TRUE_ALARMS_OF_SURFACES.get(name, set())
    if variant.event == "request.would_be_denied":
        expected = expected | ALARMS_OF_UNDECLARED_FIELDS.get(name, set())
    alarms = [event for event in events if hasattr(event, "rule") and event.name not in EXPLAINING]
    assert {event.rule for event in alarms} == expected, "false alarms, or true ones that are missing"
    assert {event.name for event in alarms} <= {variant.event}
    assert not [event for event in events if event.name in ("layer.failed", "proxy.undeclared", "state.degraded")]
