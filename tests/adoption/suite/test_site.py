from __future__ import annotations

import pytest


def test_static_files(client):
    with client.get("/static/style.css") as response:
        assert response.mimetype == "text/css"
        assert b"max-width" in response.data
    with client.get(
        "/static/style.css?v=1.0.3", headers={"If-Modified-Since": "Sat, 01 Jan 2050 00:00:00 GMT"}
    ) as same:
        assert same.status_code == 304


def test_pages_that_are_missing(client):
    for path in ("/nowhere", "/posts/99", "/posts/x", "/static/none.css", "/tag/none", "/favicon.ico"):
        response = client.get(path)
        assert response.status_code == 404
        assert "<h1>Not Found</h1>" in response.text


def test_a_missing_page_of_the_api_is_json(client):
    assert client.get("/api/nowhere").get_json() == {"problem": "Not Found"}


def test_a_fault_has_a_page(app, client, monkeypatch):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.config["DATABASE"] = "/nowhere/at/all.sqlite"
    response = client.get("/")

    assert response.status_code == 500
    assert "<h1>Internal Server Error</h1>" in response.text


def test_a_fault_reaches_the_tests(app, client):
    app.config["DATABASE"] = "/nowhere/at/all.sqlite"
    with pytest.raises(Exception, match="unable to open database file"):
        client.get("/")


def test_a_method_that_is_not_taken(client):
    response = client.put("/")

    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_cookies_of_others(client):
    client.set_cookie("theme", "dark")
    client.set_cookie("session", "forged.value")

    assert client.get("/").status_code == 200
    assert client.get("/write").status_code == 302


def test_views_can_be_tried_without_a_client(app):
    with app.test_request_context("/search?q=reef"):
        from flask import request, url_for

        assert request.args["q"] == "reef"
        assert url_for("posts.tag", name="c#") == "/tag/c%23"


def test_the_tables_can_be_made_anew(runner, client, ann, write):
    write()
    result = runner.invoke(args=["create-tables"])

    assert "The tables are there." in result.output
    assert client.get("/api/posts").get_json() == []


def test_config(create_app, tmp_path):
    assert not create_app(instance_path=str(tmp_path)).testing
    assert create_app({"TESTING": True}, instance_path=str(tmp_path)).testing
