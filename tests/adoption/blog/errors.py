"""Error pages, and the same as JSON under /api."""

from __future__ import annotations

from flask import render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError


def show(error):
    known = error if isinstance(error, HTTPException) else InternalServerError()
    if known.code is not None and known.code < 400:
        return known
    allow = [(name, value) for name, value in known.get_headers() if name == "Allow"]
    if request.path.startswith("/api/"):
        return {"problem": known.name}, known.code, allow
    return render_template("error.html", error=known), known.code, allow


def init_app(app):
    app.register_error_handler(HTTPException, show)
    app.register_error_handler(500, show)
