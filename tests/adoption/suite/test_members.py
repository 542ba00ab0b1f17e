from __future__ import annotations

import io
import re

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def upload(client, data=PNG, name="me.png", kind="image/png", **more):
    fields = {"avatar": (io.BytesIO(data), name, kind), **more}
    return client.post("/members/avatar", data=fields, follow_redirects=True)


def picture(page):
    return re.search(r'<img src="([^"]+)"', page)[1]


def test_profile(client, ann):
    assert "<h1>ann</h1>" in client.get("/members/ann").text
    assert client.get("/members/nobody").status_code == 404


def test_profiles_with_odd_names(client, auth):
    for name in ("Zoë", "o'neil", "ann lee", "a+b@example.com", "李"):
        auth.register(name)
        auth.login(name)
        link = re.search(r'href="(/members/[^"]+)"', client.get("/").text)[1].replace("&#39;", "'")
        assert client.get(link).status_code == 200, name


FILES = ["me.png", "my picture (1).png", "Zoë’s bild.png", "../../evil.png", 'a"b;c.png', "名前.png", "%00.png"]


def test_avatar(client, ann):
    for name in FILES:
        page = upload(client, name=name, caption="me, “there”\r\n& now")
        assert page.status_code == 200
        assert "is your picture now." in page.text
        with client.get(picture(page.text)) as shown:
            assert (shown.mimetype, shown.data) == ("image/png", PNG)


def test_avatars_of_many_sizes(client, ann):
    for size in (1, 65_536, 131_073, 300_000):
        data = (bytes(range(256)) * (size // 256 + 1))[:size]
        with client.get(picture(upload(client, data).text)) as shown:
            assert shown.data == data


def test_an_avatar_that_is_too_large(client, ann):
    assert upload(client, b"x" * 450_000).status_code == 413


def test_an_avatar_has_to_be_a_picture(client, ann):
    for avatar in ({}, {"avatar": (io.BytesIO(b"GIF89a"), "a.gif", "image/gif")}, {"avatar": "text"}):
        response = client.post(
            "/members/avatar", data=avatar, content_type="multipart/form-data", follow_redirects=True
        )
        assert "A PNG or JPEG picture is required." in response.text


def test_an_avatar_wants_a_login(client):
    assert client.post("/members/avatar").status_code == 302


def test_a_picture_is_cached(client, ann):
    link = picture(upload(client).text)
    with client.get(link) as first, client.get(link, headers={"If-None-Match": first.headers["ETag"]}) as second:
        assert (second.status_code, second.data) == (304, b"")


def test_a_part_of_a_picture(client, ann):
    with client.get(picture(upload(client).text), headers={"Range": "bytes=0-7"}) as part:
        assert (part.status_code, part.data) == (206, PNG[:8])
