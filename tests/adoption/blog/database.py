"""One SQLite connection for each request."""

from __future__ import annotations

import sqlite3

import click
from flask import current_app, g
from flask.cli import with_appcontext


def connection():
    if "connection" not in g:
        g.connection = sqlite3.connect(current_app.config["DATABASE"])
        g.connection.row_factory = sqlite3.Row
        g.connection.execute("PRAGMA foreign_keys = ON")
        if current_app.testing:
            g.connection.execute("PRAGMA synchronous = OFF")
    return g.connection


def rows(query, *values):
    return connection().execute(query, values).fetchall()


def row(query, *values):
    return connection().execute(query, values).fetchone()


def change(query, *values):
    cursor = connection().execute(query, values)
    connection().commit()
    return cursor.lastrowid


def close(error=None):
    found = g.pop("connection", None)
    if found is not None:
        found.close()


def create_tables():
    with current_app.open_resource("schema.sql") as file:
        connection().executescript(file.read().decode())


@click.command("create-tables")
@with_appcontext
def create_tables_command():
    """Drop what there is and make all tables anew."""
    create_tables()
    click.echo("The tables are there.")


def init_app(app):
    app.teardown_appcontext(close)
    app.cli.add_command(create_tables_command)
