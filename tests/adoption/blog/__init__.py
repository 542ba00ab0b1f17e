"""A blog, as somebody might have written it before they heard of any guard."""

from __future__ import annotations

from pathlib import Path

from flask import Flask


def create_app(config=None, instance_path=None):
    """Make the blog; *config* is laid over the defaults."""
    app = Flask(__name__, instance_path=instance_path)
    app.config.from_mapping(
        SECRET_KEY="dev",
        DATABASE=str(Path(app.instance_path) / "blog.sqlite"),
        UPLOADS=str(Path(app.instance_path) / "uploads"),
        MAX_CONTENT_LENGTH=400 * 1024,
        POSTS_PER_PAGE=5,
    )
    app.config.update(config or {})
    Path(app.config["UPLOADS"]).mkdir(parents=True, exist_ok=True)

    from . import api, auth, database, errors, members, posts

    database.init_app(app)
    errors.init_app(app)
    app.register_blueprint(auth.pages)
    app.register_blueprint(posts.pages)
    app.register_blueprint(members.pages)
    app.register_blueprint(api.pages)
    app.add_url_rule("/", endpoint="index")
    return app
