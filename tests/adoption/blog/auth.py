"""Registration, login, logout."""

from __future__ import annotations

import sqlite3
from functools import wraps

from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash

from . import database

pages = Blueprint("auth", __name__, url_prefix="/auth")


@pages.before_app_request
def load_member():
    number = session.get("member")
    g.member = database.row("SELECT * FROM member WHERE id = ?", number) if number else None


def login_required(view):
    @wraps(view)
    def wrapped(*args, **kwargs):
        if g.member is None:
            return redirect(url_for("auth.login", next=request.full_path.rstrip("?")))
        return view(*args, **kwargs)

    return wrapped


@pages.route("/register", methods=["GET", "POST"])
def register():
    if request.method == "POST":
        name, password = request.form["name"].strip(), request.form["password"]
        problem = None
        if not name:
            problem = "A name is required."
        elif len(password) < 3:
            problem = "A longer password is required."
        else:
            try:
                # The cheapest hash there is; a real blog would not.
                secret = generate_password_hash(password, method="pbkdf2:sha256:1")
                database.change("INSERT INTO member (name, password) VALUES (?, ?)", name, secret)
            except sqlite3.IntegrityError:
                problem = f"{name} is taken."
        if problem is None:
            return redirect(url_for("auth.login"))
        flash(problem)
    return render_template("register.html")


@pages.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST":
        member = database.row("SELECT * FROM member WHERE name = ?", request.form["name"])
        if member is not None and check_password_hash(member["password"], request.form["password"]):
            session.clear()
            session["member"] = member["id"]
            session.permanent = "remember" in request.form
            following = request.args.get("next", "")
            local = following.startswith("/") and not following.startswith("//")
            return redirect(following if local else url_for("index"))
        flash("Wrong name or password.")
    return render_template("login.html")


@pages.get("/logout")
def logout():
    session.clear()
    return redirect(url_for("index"))
