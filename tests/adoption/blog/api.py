"""The same posts as JSON."""

from __future__ import annotations

from flask import Blueprint, abort, g, jsonify, request, url_for
from werkzeug.security import check_password_hash

from . import database
from .posts import SELECT

pages = Blueprint("api", __name__, url_prefix="/api")


@pages.before_request
def load_caller():
    """A browser is known by its session already; a script sends its name and password."""
    given = request.authorization
    if g.member is None and given is not None and given.type == "basic":
        member = database.row("SELECT * FROM member WHERE name = ?", given.username)
        if member is not None and check_password_hash(member["password"], given.password or ""):
            g.member = member


def as_json(post):
    return {key: post[key] for key in ("id", "title", "body", "name", "created")}


@pages.get("/posts")
def posts():
    return jsonify([as_json(post) for post in database.rows(f"{SELECT} ORDER BY post.id")])


@pages.get("/posts/<int:number>")
def post(number):
    found = database.row(f"{SELECT} WHERE post.id = ?", number)
    if found is None:
        abort(404)
    return as_json(found)


@pages.post("/posts")
def create():
    if g.member is None:
        abort(401)
    given = request.get_json()
    if not isinstance(given, dict) or not isinstance(given.get("title"), str):
        return {"problem": "a title is required"}, 422
    number = database.change(
        "INSERT INTO post (author, title, body) VALUES (?, ?, ?)",
        g.member["id"],
        given["title"],
        str(given.get("body", "")),
    )
    return {"id": number}, 201, {"Location": url_for("api.post", number=number)}


@pages.put("/posts/<int:number>")
def update(number):
    found = own(number)
    given = request.get_json()
    database.change("UPDATE post SET title = ? WHERE id = ?", given.get("title", found["title"]), number)
    return "", 204


@pages.delete("/posts/<int:number>")
def delete(number):
    own(number)
    database.change("DELETE FROM post WHERE id = ?", number)
    return "", 204


def own(number):
    found = database.row("SELECT * FROM post WHERE id = ?", number)
    if g.member is None:
        abort(401)
    if found is None:
        abort(404)
    if found["author"] != g.member["id"]:
        abort(403)
    return found
