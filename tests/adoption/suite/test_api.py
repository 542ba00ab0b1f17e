from __future__ import annotations

import json

import pytest


def test_list(client, ann, write):
    assert client.get("/api/posts").get_json() == []
    write("One")
    write("Two")

    assert [post["title"] for post in client.get("/api/posts").get_json()] == ["One", "Two"]


@pytest.mark.parametrize(
    "post",
    [
        {"title": "Plain", "body": "text"},
        {"title": "Zoë 🐠 \u2028", "body": 'a\nb\tc \u0007 "q" \\'},
        {"title": "Nested", "body": [1, {"a": [None, True, 1.5, -0.0, 10**30]}]},
        {"title": "' OR 1=1; --", "body": "<script>alert(1)</script>"},
        {"title": "Long", "body": "x" * 60_000},
        {"title": "", "": ""},
    ],
    ids=["plain", "letters", "nested", "injection", "long", "empty"],
)
def test_create(client, ann, post):
    response = client.post("/api/posts", json=post)

    assert response.status_code == 201
    assert client.get(response.location).get_json()["title"] == post["title"]


def test_create_takes_kinds_of_json(client, ann):
    for kind in ("application/json", "application/json; charset=utf-8", "application/vnd.api+json"):
        assert client.post("/api/posts", data=json.dumps({"title": "x"}), content_type=kind).status_code == 201


@pytest.mark.parametrize("data", ["", "{", "{'title': 'x'}", '{"title": "x"} x', "nonsense"])
def test_create_wants_json(client, ann, data):
    assert client.post("/api/posts", data=data, content_type="application/json").status_code == 400


def test_create_wants_json_and_no_form(client, ann):
    assert client.post("/api/posts", data={"title": "x"}).status_code == 415


def test_create_wants_a_title(client, ann):
    for given in ("[]", '"x"', "5", "null", "{}", '{"title": 5}'):
        response = client.post("/api/posts", data=given, content_type="application/json")
        assert response.status_code == 422, given


def test_writing_wants_a_login(client):
    assert client.post("/api/posts", json={"title": "x"}).status_code == 401
    assert client.delete("/api/posts/1").status_code == 401


@pytest.mark.parametrize(("password", "status"), [("reef", 201), ("wrong", 401), ("", 401)])
def test_scripts_log_in_by_name_and_password(client, auth, password, status):
    auth.register("script")

    assert client.post("/api/posts", json={"title": "x"}, auth=("script", password)).status_code == status


@pytest.mark.parametrize("value", ["Bearer abc.def-ghi", 'Digest username="ann", realm="x"', "Basic !!!"])
def test_other_credentials_are_not_taken(client, value):
    response = client.post("/api/posts", json={"title": "x"}, headers={"Authorization": value})

    assert response.status_code in (400, 401)


def test_update(client, ann, write):
    write()
    assert client.put("/api/posts/1", json={"title": "New"}).status_code == 204

    assert client.get("/api/posts/1").get_json()["title"] == "New"


def test_delete(client, ann, write):
    write()
    assert client.delete("/api/posts/1").status_code == 204

    assert client.get("/api/posts/1").get_json() == {"problem": "Not Found"}


def test_posts_of_others_are_left_alone(client, auth, ann, write):
    write()
    auth.register("bob")
    auth.login("bob")

    assert client.put("/api/posts/1", json={"title": "Mine"}).status_code == 403
    assert client.delete("/api/posts/1").status_code == 403


def test_a_method_that_is_not_taken(client):
    response = client.patch("/api/posts/1", json={})

    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_what_a_browser_sends_along(client, ann, write):
    write()
    headers = {
        "Accept": "application/json, text/plain, */*",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Accept-Language": "de-CH,de;q=0.9,en;q=0.8",
        "Cache-Control": "no-cache",
        "Origin": "https://localhost",
        "Referer": "https://localhost/posts/1?x=é".encode().decode("latin-1"),
        "Sec-Ch-Ua": '"Chromium";v="126", "Not/A)Brand";v="8"',
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Site": "same-origin",
        "Priority": "u=1, i",
        "Upgrade-Insecure-Requests": "1",
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0",
        "X-Requested-With": "XMLHttpRequest",
        "Cookie": 'a=1; theme="dark mode"; _ga=GA1.1.1',
    }

    assert client.get("/api/posts", headers=headers).status_code == 200
    assert client.post("/api/posts", json={"title": "x"}, headers=headers | {"Cookie": ""}).status_code in (201, 401)
