"""Posts: list, read, write, search, feed."""

from __future__ import annotations

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from markupsafe import escape

from . import database
from .auth import login_required

pages = Blueprint("posts", __name__)

SELECT = "SELECT post.*, member.name FROM post JOIN member ON member.id = post.author"


@pages.get("/")
def index():
    size = current_app.config["POSTS_PER_PAGE"]
    page = request.args.get("page", 1, type=int)
    found = database.rows(f"{SELECT} ORDER BY post.id DESC LIMIT ? OFFSET ?", size, (page - 1) * size)
    return render_template("index.html", posts=found, page=page)


@pages.get("/posts/<int:number>")
def read(number):
    tags = database.rows("SELECT tag FROM tagging WHERE post = ? ORDER BY tag", number)
    return render_template("post.html", post=find(number), tags=[row["tag"] for row in tags])


@pages.get("/tag/<path:name>")
def tag(name):
    found = database.rows(
        f"{SELECT} JOIN tagging ON tagging.post = post.id WHERE tagging.tag = ? ORDER BY post.id DESC", name
    )
    if not found:
        abort(404)
    return render_template("index.html", posts=found, heading=name)


@pages.get("/search")
def search():
    words = request.args.get("q", "")
    found = database.rows(f"{SELECT} WHERE post.title LIKE ? OR post.body LIKE ?", f"%{words}%", f"%{words}%")
    return render_template("search.html", posts=found if words else [], words=words)


@pages.route("/write", methods=["GET", "POST"])
@login_required
def write():
    if request.method == "POST" and complete():
        title, body = request.form["title"], request.form["body"]
        number = database.change("INSERT INTO post (author, title, body) VALUES (?, ?, ?)", g.member["id"], title, body)
        set_tags(number)
        return redirect(url_for("posts.read", number=number))
    return render_template("write.html", post=request.form)


@pages.route("/posts/<int:number>/edit", methods=["GET", "POST"])
@login_required
def edit(number):
    post = find(number, own=True)
    if request.method == "POST" and complete():
        title, body = request.form["title"], request.form["body"]
        database.change("UPDATE post SET title = ?, body = ? WHERE id = ?", title, body, number)
        set_tags(number)
        return redirect(url_for("posts.read", number=number))
    return render_template("write.html", post=post)


@pages.post("/posts/<int:number>/delete")
@login_required
def delete(number):
    find(number, own=True)
    database.change("DELETE FROM post WHERE id = ?", number)
    return redirect(url_for("index"))


@pages.get("/feed.xml")
def feed():
    def lines():
        yield '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
        for post in database.rows(f"{SELECT} ORDER BY post.id DESC"):
            link = url_for("posts.read", number=post["id"], _external=True)
            yield f'<entry><title>{escape(post["title"])}</title><link href="{link}"/></entry>\n'
        yield "</feed>\n"

    return Response(stream_with_context(lines()), mimetype="application/atom+xml")


def find(number, own=False):
    post = database.row(f"{SELECT} WHERE post.id = ?", number)
    if post is None:
        abort(404)
    if own and post["author"] != g.member["id"]:
        abort(403)
    return post


def complete():
    if request.form["title"].strip():
        return True
    flash("A title is required.")
    return False


def set_tags(number):
    database.change("DELETE FROM tagging WHERE post = ?", number)
    for name in request.form.get("tags", "").split(","):
        if name.strip():
            database.change("INSERT INTO tagging (post, tag) VALUES (?, ?)", number, name.strip())
