"""The views that the tests of the extension ask for, and what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, g, jsonify, redirect, request, session, stream_with_context, url_for

from bsguard import identify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENFORCE = {"BSGUARD_MODE": "enforce", "BSGUARD_EVENTS_STORED": False}
MONITOR = {"BSGUARD_EVENTS_STORED": False}

pages = Blueprint("pages", __name__)


def add_views(app: Flask) -> None:
    """Give *app* the views of this module."""
    app.register_blueprint(pages)


def close(app: Flask) -> None:
    """Let go of what the guard of *app* holds open."""
    made = app.extensions.get("bsguard")
    if made is not None and made.store is not None:
        made.store.close()
    if made is not None and hasattr(made.overrides, "close"):
        made.overrides.close()


def cases(rows: Iterable[Any], count: int) -> list[Any]:
    """Parameters named by their first column; the table must have exactly *count* rows and no name twice."""
    import pytest

    made = [pytest.param(row, id=row[0]) for row in rows]

    assert len(made) == count, f"the table has {len(made)} rows, not {count}"
    assert len({one.id for one in made}) == count, "two rows have the same name"
    return made


@pages.route("/", methods=["GET", "POST"])
def index() -> str:
    g.visited = True
    return "hello"


@pages.post("/form")
def form() -> dict[str, Any]:
    return jsonify(dict(request.form.lists()))


@pages.post("/upload")
def upload() -> dict[str, Any]:
    return {name: [file.filename, file.read().decode("latin-1")] for name, file in request.files.items()}


@pages.route("/json", methods=["POST", "PUT", "PATCH"])
def as_json() -> Any:
    return jsonify(request.get_json())


@pages.post("/raw")
def raw() -> bytes:
    return request.get_data()


@pages.get("/search")
def search() -> dict[str, Any]:
    return {"q": request.args.getlist("q"), "path": request.path, "url": request.url}


@pages.get("/items/<path:name>")
def item(name: str) -> str:
    return name


@pages.get("/login")
def login() -> Any:
    session["user"] = request.args.get("user", "ann")
    return redirect(url_for("pages.me"))


@pages.get("/me")
def me() -> str:
    return session.get("user", "nobody")


@pages.get("/who")
def who() -> str:
    identify("acct-7")
    return str(request.authorization.username if request.authorization else "")


@pages.get("/stream")
def stream() -> Response:
    def lines() -> Iterator[str]:
        for number in range(3):
            yield f"{number} {request.path}\n"
        identify("acct-8")

    return Response(stream_with_context(lines()), mimetype="text/plain")


@pages.get("/fail")
def fail() -> str:
    raise ZeroDivisionError("on purpose")


@pages.get("/where")
def where() -> dict[str, Any]:
    return {
        "root": request.script_root,
        "path": request.path,
        "scheme": request.scheme,
        "remote": request.remote_addr,
        "link": url_for("pages.me"),
    }


@pages.get("/id")
def request_id() -> str:
    return request.environ["bsguard.request_id"]


@pages.get("/account")
def account() -> str:
    return request.headers.get("X-Account-Id", "none")


@pages.delete("/items/<name>")
def delete(name: str) -> tuple[str, int]:
    return "", 204


@pages.app_errorhandler(404)
def missing(error: Exception) -> tuple[str, int]:
    return "no such page", 404
