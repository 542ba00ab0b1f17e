"""Composition: a fold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: A layer class, a ``functools.partial`` of one, or any factory of WSGI middleware: application in, application out.
Middleware = Callable[["WSGIApplication"], "WSGIApplication"]


def stack(app: WSGIApplication, *layers: Middleware) -> WSGIApplication:
    """Wrap *app* in *layers*; the first one listed is the outermost. No layers return *app* itself.

    Neighbouring bsguard layers are driven together: all their heads first, then their bodies. Any other middleware
    may stand between them.
    """
    for layer in reversed(layers):
        app = layer(app)
    return app
