"""Whatever a request is made of, the layer answers with a verdict, never a failure, and the same when chunked."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bsguard import Managed
from bsguard.testing import environ, run
from tests.managed.crs_like import a_rule_set
from tests.managed.support import hello

SEEN: list[Any] = []

MEDIA_TYPES = st.sampled_from(
    [
        "",
        "application/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=B",
        'multipart/form-data; boundary="',
        "multipart/form-data",
        "application/xml",
        "text/xml; charset=\xff",
        "image/png",
        ";;;",
    ]
)
PIECES = st.sampled_from(
    [
        *(
            b"--B\r\n",
            b"--B--\r\n",
            b"\r\n\r\n",
            b'Content-Disposition: form-data; name="a"; filename="b"\r\n',
            b"=",
            b"&",
        ),
        *(b"{", b"}", b"[", b'"', b":", b",", b"\\u00", b"\\", b"%", b"%4", b"%00", b"\x00", b"\xff", b"<a>", b"</a>"),
        *(b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"<script", b"union select", b"1e999", b"-", b"true", b"a", b" "),
    ]
)
BODIES = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=40).map(b"".join))
TEXTS = st.text(st.characters(max_codepoint=255), max_size=40)
TARGETS = TEXTS.map(lambda text: "/" + text)


@lru_cache
def app() -> Managed:
    rules = a_rule_set(Path(mkdtemp(prefix="bsguard-test-"), "crs"))
    return Managed(hello, {"CRS_DIR": rules, "RESPONSE": True}, emit=SEEN.append)


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "", "\xff"]),
    target=TARGETS,
    headers=st.dictionaries(st.sampled_from(["Cookie", "User-Agent", "X-A", "X-\xe9", "Host"]), TEXTS, max_size=3),
    media_type=MEDIA_TYPES,
    body=BODIES,
    unlike=st.booleans(),
)
def test_every_request_gets_a_verdict(
    method: str, target: str, headers: dict[str, str], media_type: str, body: bytes, unlike: bool
) -> None:
    SEEN.clear()
    extra = {"PATH_INFO": "/other", "RAW_URI": "http://x"} if unlike else {}
    statuses = []
    for chunked in (False, True):
        given_headers = {**headers, "Content-Type": media_type}
        request = environ(method, target, headers=given_headers, body=body, chunked=chunked, **extra)
        statuses.append(run(app(), request).status)

    assert statuses[0] in (200, 400, 403, 413)
    assert statuses[0] == statuses[1]
    assert not [event for event in SEEN if event.name == "layer.failed"]
