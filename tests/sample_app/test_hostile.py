"""Whatever is sent, the answer is a coded refusal: never a 500, never a traceback, never an echo.

Each request goes to the guarded app and to the app with the guard switched off, since a guard can be set to watch.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sample_app import create_app, generations
from tests.sample_app.fakes import fake_edges
from tests.sample_app.support import CRON_SECRET, Clock, Service, documented, service_config
from tests.sample_app.test_access_control import PATHS
from tests.sample_app.test_generations import generation

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "xMARKx"
ID = f"gen_{'0' * 32}"

# (name, method, path, body, content type)
REQUESTS: list[tuple[str, str, str, bytes | None, str]] = [
    ("no body", "POST", "/v1/estimate", None, "application/json"),
    ("an empty body", "POST", "/v1/estimate", b"", "application/json"),
    ("broken JSON", "POST", "/v1/estimate", b'{"model": ' + MARK.encode(), "application/json"),
    ("something after", "POST", "/v1/estimate", b'{"model": "reef-1"} x', "application/json"),
    ("no UTF-8", "POST", "/v1/estimate", b'{"model": "\xff\xfe"}', "application/json"),
    ("UTF-16", "POST", "/v1/estimate", '{"model": "reef-1"}'.encode("utf-16"), "application/json"),
    ("a byte order mark", "POST", "/v1/estimate", b'\xef\xbb\xbf{"model": "reef-1"}', "application/json"),
    ("NaN", "POST", "/v1/estimate", b'{"model": "reef-1", "generation_duration": NaN}', "application/json"),
    ("Infinity", "POST", "/v1/estimate", b'{"model": "reef-1", "generation_duration": -Infinity}', "application/json"),
    ("1e400", "POST", "/v1/estimate", b'{"model": "reef-1", "generation_output_number": 1e400}', "application/json"),
    ("5,000 digits", "POST", "/v1/estimate", b'{"generation_duration": ' + b"9" * 5000 + b"}", "application/json"),
    ("deep arrays", "POST", "/v1/estimate", b"[" * 100_000, "application/json"),
    ("deep objects", "POST", "/v1/estimate", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json"),
    ("a lone surrogate", "POST", "/v1/estimate", b'{"model": "\\ud800"}', "application/json"),
    ("a lone surrogate as a name", "POST", "/v1/estimate", b'{"\\ud800": 1, "model": "reef-1"}', "application/json"),
    ("an unknown field", "POST", "/v1/estimate", json.dumps({MARK: 1, "model": "reef-1"}).encode(), "application/json"),
    ("an unknown model", "POST", "/v1/estimate", json.dumps({"model": MARK.lower()}).encode(), "application/json"),
    ("a form", "POST", "/v1/estimate", b"model=reef-1", "application/x-www-form-urlencoded"),
    ("a multipart form", "POST", "/v1/estimate", b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
    ("a strange type", "POST", "/v1/estimate", b"{}", MARK + "/;;="),
    ("a query on a POST", "POST", "/v1/estimate?model=reef-1", b'{"model": "reef-1"}', "application/json"),
    ("a huge limit", "GET", "/v1/generations?limit=" + "9" * 7000, None, ""),
    ("a marked cursor", "GET", f"/v1/generations?cursor={MARK}", None, ""),
    ("a marked name", "GET", f"/v1/generations?{MARK}=1", None, ""),
    ("a marked kind", "GET", f"/v1/generations?kind={MARK}", None, ""),
    ("a marked status", "GET", f"/v1/generations?status={MARK}", None, ""),
    ("a marked limit", "GET", f"/v1/generations?limit={MARK}", None, ""),
    ("a marked model", "GET", f"/v1/generations?model={MARK}", None, ""),
    (
        "a marked ratio",
        "POST",
        "/v1/estimate",
        b'{"model": "reef-1", "generation_ratio": "xMARKx"}',
        "application/json",
    ),
    ("invalid UTF-8 in the query", "GET", "/v1/generations?model=%ff%fe", None, ""),
    ("a null in the query", "GET", "/v1/generations?status=%00", None, ""),
    ("a thousand parameters", "GET", "/v1/generations?" + "&".join(f"a{n}=1" for n in range(1000)), None, ""),
    ("injection in the id", "GET", "/v1/generations/gen_1'%20OR%201=1", None, ""),
    ("a null in the path", "GET", "/v1/generations/gen_%00", None, ""),
    ("invalid UTF-8 in the path", "GET", "/v1/generations/%ff", None, ""),
    ("an emoji in the path", "GET", "/v1/generations/%F0%9F%8C%8A", None, ""),
    ("traversal", "GET", "/v1/generations/../../../etc/passwd", None, ""),
    ("encoded traversal", "GET", "/v1/generations/%2e%2e%2fetc%2fpasswd", None, ""),
    ("a long path", "GET", "/v1/generations/" + "g" * 7000, None, ""),
    ("a body on a GET", "GET", f"/v1/generations/{ID}0", b"{}", "application/json"),
    ("an unknown method", "BREW", "/v1/models", None, ""),
    ("another method", "DELETE", f"/v1/generations/{ID}", None, ""),
    ("TRACE", "TRACE", "/v1/models", None, ""),
]


@pytest.fixture(scope="module", params=["guarded", "bare"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        switched = {} if request.param == "guarded" else {"BSGUARD_ENABLED": False}
        edges = fake_edges()
        app = create_app(service_config(Path(folder)) | switched, clock=clock, edges=edges)
        service = Service(app, app.extensions["control_plane"], clock, edges)
        with service.parts.database.writing() as connection:
            assert generations.add(connection, generation(0), due_at=None)
        yield service
        app.extensions["control_plane"].database.dispose()


def send(service: Service, method: str, path: str, **options: Any) -> Any:
    headers = service.headers() | {"X-Cron-Secret": CRON_SECRET} | options.pop("headers", {})
    return service.client.open(path, method=method, headers=headers, **options)


def check(response: Any) -> None:
    assert 400 <= response.status_code < 500, response.text
    assert response.get_json()["status"] == "error"
    assert response.get_json()["error"]["code"].startswith("BSE")
    assert MARK.lower() not in response.text.lower()
    assert "Traceback" not in response.text


@pytest.mark.parametrize("row", REQUESTS, ids=[row[0] for row in REQUESTS])
def test_is_refused_with_a_code(row: tuple[str, str, str, bytes | None, str], service: Service) -> None:
    _, method, path, body, content_type = row

    check(send(service, method, path, data=body, content_type=content_type or None))


def test_all_requests_were_there() -> None:
    assert len(REQUESTS) == 43


NO_JSON = [
    b"NaN",
    b'{"generation_duration": NaN}',
    b'{"generation_duration": -Infinity}',
    '{"model": "reef-1"}'.encode("utf-16"),
    b'\xef\xbb\xbf{"model": "reef-1"}',
    b"[" * 100_000,
    b"9" * 5000,
    b'{"model": "reef-1"',
    b"{'model': 'reef-1'}",
    b" ",
]


@pytest.mark.parametrize("body", NO_JSON, ids=range(len(NO_JSON)))
def test_what_only_python_takes_for_json_is_not_json(body: bytes, service: Service) -> None:
    response = send(service, "POST", "/v1/estimate", data=body, content_type="application/json")

    assert response.status_code == 400
    assert response.get_json()["error"]["code"] in ("BSE2103", "BSE1121")
    assert len(NO_JSON) == 10


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
FIELD_NAMES = st.sampled_from(["model", "generation_duration", "generation_provider_order", "generation_ratio", "x"])

many = settings(
    max_examples=60,
    deadline=None,
    # One app serves all examples: each sends one request and leaves nothing behind but a key.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@many
@given(body=ANYTHING | st.dictionaries(FIELD_NAMES, ANYTHING | st.just("current-1"), max_size=5))
def test_no_json_body_is_a_fault(service: Service, body: Any) -> None:
    response = send(service, "POST", "/v1/estimate", data=json.dumps(body), content_type="application/json")

    assert response.status_code < 500, response.text


@many
@given(body=st.binary(max_size=200), content_type=st.sampled_from(["application/json", "application/x+json", ""]))
def test_no_bytes_are_a_fault(service: Service, body: bytes, content_type: str) -> None:
    response = send(service, "POST", "/v1/estimate", data=body, content_type=content_type or None)

    assert response.status_code < 500, response.text


@many
@given(
    names=st.lists(st.sampled_from(["limit", "cursor", "kind", "status", "model", "x"]), max_size=4),
    values=st.lists(st.text(max_size=40), min_size=4, max_size=4),
)
def test_no_query_is_a_fault(service: Service, names: list[str], values: list[str]) -> None:
    query = [(name, value.encode("utf-8", "replace").decode()) for name, value in zip(names, values, strict=False)]
    response = send(service, "GET", "/v1/generations", query_string=query_string(query))

    assert response.status_code < 500, response.text


@many
@given(
    name=st.sampled_from(["Authorization", "Accept", "Last-Event-ID", "X-Request-Id", "X-Cron-Secret", "Cookie"]),
    value=st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60),
    path=st.sampled_from(["/v1/generations", f"/v1/generations/{ID}", "/v1/models"]),
    accept=st.sampled_from(["*/*", "text/event-stream"]),
)
def test_no_header_is_a_fault(service: Service, name: str, value: str, path: str, accept: str) -> None:
    response = send(service, "GET", path, headers={"Accept": accept} | {name: value})

    assert response.status_code < 500, response.text


@pytest.mark.parametrize("name", documented())
def test_no_operation_minds_odd_path_parameters(name: str, service: Service) -> None:
    method, path, _ = documented()[name]
    body: dict[str, Any] = {"json": {}} if method == "POST" else {}
    for odd in ("0", "-1", "%20", "nul", "%C3%A9", "9" * 300):
        response = send(service, method, path.format(**dict.fromkeys(PATHS, odd)), **body)
        assert response.status_code < 500 or response.status_code == 501, (odd, response.text)


def query_string(pairs: list[tuple[str, str]]) -> str:
    return urlencode(pairs)
