"""Members and their pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)

from . import database
from .auth import login_required

pages = Blueprint("members", __name__, url_prefix="/members")

KINDS = {"image/png": ".png", "image/jpeg": ".jpg"}


@pages.get("/<name>")
def profile(name):
    member = database.row("SELECT * FROM member WHERE name = ?", name)
    if member is None:
        abort(404)
    return render_template("profile.html", member=member)


@pages.post("/avatar")
@login_required
def avatar():
    file = request.files.get("avatar")
    if file is None or file.mimetype not in KINDS:
        flash("A PNG or JPEG picture is required.")
        return redirect(url_for("members.profile", name=g.member["name"]))
    data = file.read()
    name = hashlib.sha256(data).hexdigest()[:16] + KINDS[file.mimetype]
    Path(current_app.config["UPLOADS"], name).write_bytes(data)
    database.change("UPDATE member SET avatar = ? WHERE id = ?", name, g.member["id"])
    flash(f"{file.filename} is your picture now.")
    return redirect(url_for("members.profile", name=g.member["name"]))


@pages.get("/pictures/<name>")
def picture(name):
    return send_from_directory(current_app.config["UPLOADS"], name, conditional=True)
