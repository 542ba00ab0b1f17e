from __future__ import annotations

import pytest
from flask import g, session


def test_register(client, auth):
    assert client.get("/auth/register").status_code == 200
    response = auth.register()

    assert response.status_code == 302
    assert response.location == "/auth/login"


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("", "reef", "A name is required."),
        ("   ", "reef", "A name is required."),
        ("ann", "", "A longer password is required."),
        ("taken", "reef", "taken is taken."),
    ],
)
def test_register_checks_its_input(client, auth, name, password, message):
    auth.register("taken", "reef")
    response = client.post("/auth/register", data={"name": name, "password": password})

    assert response.status_code == 200
    assert message in response.text


MEMBERS = {
    "ann": "correct horse battery staple",
    "Zoë": "pässwörd",
    "o'neil": "' OR 1=1 --",
    "a+b@example.com": "100%&=+;#",
    "<b>": "../../etc/passwd",
    "李": "密码密码",
    "ann lee": "\\x00\\n${7*7}{{7*7}}",
}


def test_login(client, auth):
    with client:
        for number, (name, password) in enumerate(MEMBERS.items(), start=1):
            auth.register(name, password)
            response = auth.login(name, password)
            assert (response.status_code, response.location) == (302, "/")
            assert client.get("/").status_code == 200
            assert session["member"] == number
            assert g.member["name"] == name


def test_login_checks_its_input(auth):
    auth.register()

    for name, password in [("bob", "reef"), ("ann", "wrong"), ("", "")]:
        assert "Wrong name or password." in auth.login(name, password).text


def test_login_without_fields_is_a_bad_request(client):
    assert client.post("/auth/login", data={}).status_code == 400


def test_login_leads_back_to_where_one_was(client, auth):
    auth.register()
    response = client.get("/write?draft=1")
    assert response.location == "/auth/login?next=/write?draft%3D1"

    response = client.post(response.location, data={"name": "ann", "password": "reef"})
    assert response.location == "/write?draft=1"


def test_login_leads_nowhere_else(client, auth):
    auth.register()
    for target in ("https://evil.example/", "//evil.example/", "evil"):
        response = client.post(f"/auth/login?next={target}", data={"name": "ann", "password": "reef"})
        assert response.location == "/"


def test_remember_me(client, auth):
    auth.register()
    response = client.post("/auth/login", data={"name": "ann", "password": "reef", "remember": "on"})

    assert "Expires=" in response.headers["Set-Cookie"]


def test_logout(client, ann):
    with client:
        ann.logout()
        assert "member" not in session
    assert client.get("/write").status_code == 302


def test_two_members_at_once(app, ann, client):
    other = app.test_client()
    other.post("/auth/register", data={"name": "bob", "password": "reef"})
    other.post("/auth/login", data={"name": "bob", "password": "reef"})

    assert 'href="/members/bob"' in other.get("/").text
    assert 'href="/members/ann"' in client.get("/").text
