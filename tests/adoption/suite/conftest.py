"""The blog's own fixtures."""

from __future__ import annotations

from importlib import import_module

import pytest


@pytest.fixture
def app(create_app, tmp_path):
    app = create_app({"TESTING": True}, instance_path=str(tmp_path / "instance"))
    with app.app_context():
        import_module(app.import_name + ".database").create_tables()
    return app


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def runner(app):
    return app.test_cli_runner()


class AuthActions:
    def __init__(self, client):
        self._client = client

    def register(self, name="ann", password="reef"):
        return self._client.post("/auth/register", data={"name": name, "password": password})

    def login(self, name="ann", password="reef"):
        return self._client.post("/auth/login", data={"name": name, "password": password})

    def logout(self):
        return self._client.get("/auth/logout")


@pytest.fixture
def auth(client):
    return AuthActions(client)


@pytest.fixture
def ann(auth):
    """A member who is logged in."""
    auth.register()
    auth.login()
    return auth


@pytest.fixture
def write(client):
    """Writes a post and returns its path."""

    def post(title="First", body="On the reef.", tags=""):
        response = client.post("/write", data={"title": title, "body": body, "tags": tags})
        assert response.status_code == 302
        return response.location

    return post
