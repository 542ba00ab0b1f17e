"""Each row of the error table can be reached, and looks as the contract says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import ClientDisconnected

from sample_app import create_app, leases
from sample_app.api_keys import Scope
from sample_app.catalogue import Catalogue
from sample_app.database import Database
from sample_app.errors import ErrorCode
from sample_app.providers.port import Accepted
from tests.sample_app.support import CRON_SECRET, Service, service_config

if TYPE_CHECKING:
    from pathlib import Path

Send = Callable[[Service, pytest.MonkeyPatch], Any]


def get(path: str, **options: Any) -> Send:
    return lambda service, _: service.call("GET", path, headers=service.headers(), **options)


def estimate(**options: Any) -> Send:
    return lambda service, _: service.call("POST", "/v1/estimate", headers=service.headers(), **options)


def without_database(service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    def fail(_self: Database) -> None:
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    monkeypatch.setattr(Database, "_current", fail)
    return service.call("GET", "/v1/health")


def with_a_fault(service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    def fail(*_arguments: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(Catalogue, "list", fail)
    service.app.config["PROPAGATE_EXCEPTIONS"] = False
    return service.call("GET", "/v1/models", headers=service.headers())


def expired_key(service: Service, _: pytest.MonkeyPatch) -> Any:
    return service.call("GET", "/v1/models", headers=service.headers(expires_at=service.clock.now))


def revoked_key(service: Service, _: pytest.MonkeyPatch) -> Any:
    headers = service.headers()
    service.parts.keys.revoke(headers["Authorization"][11:27])
    return service.call("GET", "/v1/models", headers=headers)


def gone_client(service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    def read(*_arguments: object, **_options: object) -> bytes:
        raise ClientDisconnected

    monkeypatch.setattr("flask.Request.get_data", read)
    return service.call("POST", "/v1/estimate", headers=service.headers())


def paying(service: Service) -> dict[str, str]:
    service.parts.database.prepare()
    service.parts.database.ledger.topup("acme", 10_000, key="test")
    return service.headers()


def post(path: str, **options: Any) -> Send:
    return lambda service, _: service.call("POST", path, headers=service.headers(), **options)


def image(**fields: Any) -> Send:
    return post("/v1/generate/image/reef-1", json={"generation_prompt": "a reef", **fields})


def webhook(signature: str) -> Send:
    headers = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": signature}
    path = f"/v1/webhooks/fal?attempt={'0' * 32}"
    return lambda service, _: service.call("POST", path, headers=headers, json={"id": "job", "status": "working"})


def playground(headers: dict[str, str]) -> Send:
    body = {"model": "reef-1", "generation_prompt": "a reef"}
    return lambda service, _: service.call("POST", "/v1/playground", headers=headers, json=body)


def reused_key(service: Service, _: pytest.MonkeyPatch) -> Any:
    headers = service.headers() | {"Idempotency-Key": "one"}
    assert service.call("POST", "/v1/billing/topups", headers=headers, json={"credits": 5}).status_code == 201
    return service.call("POST", "/v1/billing/topups", headers=headers, json={"credits": 6})


def running_request(service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What PostgreSQL says when the transaction that has the key does not end in time."""

    class LockNotAvailable(Exception):
        sqlstate = "55P03"

    def wait(*_arguments: object) -> bool:
        raise OperationalError("INSERT", {}, LockNotAvailable())

    monkeypatch.setattr("sample_app.idempotency.insert_new", wait)
    headers = service.headers() | {"Idempotency-Key": "one"}
    return service.call("POST", "/v1/billing/topups", headers=headers, json={"credits": 5})


def unfinished(service: Service, headers: dict[str, str]) -> Any:
    service.port("replicate").submits[:] = [Accepted("job")]
    body = {"generation_prompt": "a reef"}
    return service.call("POST", "/v1/generate/image/reef-1", headers=headers, json=body)


def too_many_running(service: Service, _: pytest.MonkeyPatch) -> Any:
    headers = paying(service)
    assert unfinished(service, headers).status_code == 202
    return unfinished(service, headers)


def too_many_streams(service: Service, _: pytest.MonkeyPatch) -> Any:
    headers = paying(service)
    path = unfinished(service, headers).headers["Location"]
    for _turn in range(2):
        service.parts.streams.slots.take(headers["Authorization"][11:27])
    return service.call("GET", path, headers=headers | {"Accept": "text/event-stream"})


def ended(service: Service, _: pytest.MonkeyPatch) -> Any:
    headers = paying(service)
    body = {"generation_prompt": "a reef"}
    path = service.call("POST", "/v1/generate/image/reef-1", headers=headers, json=body).headers["Location"]
    return service.call("POST", f"{path}/cancel", headers=headers)


def running_job(service: Service, _: pytest.MonkeyPatch) -> Any:
    with service.parts.database.writing() as connection:
        assert leases.take_job(connection, "sweep", "somebody", service.clock(), service.clock() + 1)
    return service.call("POST", "/v1/cron/sweep", headers={"X-Cron-Secret": CRON_SECRET})


def no_provider(service: Service, _: pytest.MonkeyPatch) -> Any:
    ports: Any = service.edges.ports
    ports.clear()
    made = create_app(service_config(service.folder), clock=service.clock, edges=service.edges)
    again = Service(made, made.extensions["control_plane"], service.clock, service.edges)
    try:
        return image()(again, pytest.MonkeyPatch())
    finally:
        again.parts.database.dispose()


def too_many_videos(service: Service, _: pytest.MonkeyPatch) -> Any:
    headers = paying(service) | {"Idempotency-Key": "01934f5e-plan"}
    body = {"generation_prompt": "a reef"}
    for _turn in range(6):
        answer = service.call("POST", "/v1/generate/video/current-1", headers=headers, json=body, buffered=True)
        assert answer.status_code == 202
    answer = service.call("POST", "/v1/generate/video/current-1", headers=headers, json=body, buffered=True)
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    return answer


UNKNOWN = f"bsk_{'0123' * 4}_{'0' * 64}"

# Some of these are refused by the guard before; they are for deployments where it only watches.
WATCHING = {"BSGUARD_MODE": "monitor"}
OFF = {"BSGUARD_ENABLED": False}

REACHED: dict[ErrorCode, tuple[Send, dict[str, Any]]] = {
    ErrorCode.MISSING_KEY: (lambda service, _: service.call("GET", "/v1/models"), {}),
    ErrorCode.INVALID_KEY: (
        lambda service, _: service.call("GET", "/v1/models", headers={"Authorization": "Bearer bsk_1"}),
        {},
    ),
    ErrorCode.EXPIRED_KEY: (expired_key, {}),
    ErrorCode.REVOKED_KEY: (revoked_key, {}),
    ErrorCode.MISSING_SCOPE: (
        lambda service, _: service.call("GET", "/v1/usage", headers=service.headers(Scope.READ)),
        {},
    ),
    ErrorCode.INVALID_CRON_SECRET: (lambda service, _: service.call("POST", "/v1/cron/sweep"), {}),
    ErrorCode.BAD_REQUEST: (gone_client, {}),
    ErrorCode.NOT_FOUND: (lambda service, _: service.client.get("/v1/nothing"), {}),
    ErrorCode.METHOD_NOT_ALLOWED: (lambda service, _: service.client.delete("/v1/models"), {}),
    ErrorCode.INVALID_JSON: (estimate(), {}),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: (estimate(data="{}", content_type="text/plain"), WATCHING),
    ErrorCode.PAYLOAD_TOO_LARGE: (
        estimate(data=b"[" + b" " * 64 + b"]", content_type="application/json"),
        OFF | {"MAX_CONTENT_LENGTH": 64},
    ),
    ErrorCode.INVALID_BODY: (estimate(json=[]), {}),
    ErrorCode.INVALID_PARAMETER: (get("/v1/models?kind=smell"), {}),
    ErrorCode.INVALID_CURSOR: (get("/v1/generations?cursor=AAAA"), {}),
    ErrorCode.MODEL_NOT_FOUND: (estimate(json={"model": "reef-9"}), {}),
    ErrorCode.UNSUPPORTED_OPTION: (estimate(json={"model": "reef-1", "generation_resolution": "4K"}), {}),
    ErrorCode.GENERATION_NOT_FOUND: (get("/v1/generations/gen_1"), {}),
    ErrorCode.PLAN_LIMIT_REACHED: (too_many_videos, {}),
    ErrorCode.INVALID_WEBHOOK: (webhook("forged"), {}),
    ErrorCode.INVALID_PLAYGROUND_ACCESS: (playground({"Cookie": "dashboard_session=acme.99999999999.x"}), {}),
    ErrorCode.INVALID_SIGNATURE: (get(f"/v1/files/file_{'0' * 32}?expires=99999999999&signature=x"), {}),
    ErrorCode.MISSING_IDEMPOTENCY_KEY: (post("/v1/billing/topups", json={"credits": 5}), {}),
    ErrorCode.IDEMPOTENCY_KEY_REUSED: (reused_key, {}),
    ErrorCode.REQUEST_RUNNING: (running_request, {}),
    ErrorCode.INSUFFICIENT_CREDITS: (image(), {}),
    ErrorCode.TOO_MANY_RUNNING: (too_many_running, {"CONTROL_PLANE_UNFINISHED_MAX": 1}),
    ErrorCode.STREAM_LIMIT_REACHED: (too_many_streams, {}),
    ErrorCode.FILE_NOT_FOUND: (get(f"/v1/files/file_{'0' * 32}"), {}),
    ErrorCode.ALREADY_ENDED: (ended, {}),
    ErrorCode.INPUT_FILE_NOT_FOUND: (image(generation_input_file=f"file_{'0' * 32}"), {}),
    ErrorCode.FILE_REFUSED: (post("/v1/files", data=b"no image", content_type="image/png"), {}),
    ErrorCode.JOB_RUNNING: (running_job, {}),
    ErrorCode.NO_PROVIDER: (no_provider, {}),
    ErrorCode.SERVICE_UNAVAILABLE: (without_database, {}),
    ErrorCode.INTERNAL_ERROR: (with_a_fault, {}),
}


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.code)
def test_every_code_is_reachable(
    code: ErrorCode, make_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    send, config = REACHED[code]
    response = send(make_service(**config), monkeypatch)
    body = response.get_json()

    assert (response.status_code, body["error"]["code"]) == (code.status, code.code)
    assert body["status"] == "error"
    assert body["error"]["type"] == code.kind
    assert body["error"]["message"].endswith(".")
    assert response.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in response.headers) == (code.status in (401, 403))
    if "BSGUARD_ENABLED" not in config:
        assert body["request_id"] == response.headers["X-Request-Id"]
    else:
        assert "request_id" not in body


def test_all_rows_were_reached() -> None:
    assert set(REACHED) == set(ErrorCode)
    assert len(REACHED) == 36


def test_a_wrong_method_says_the_right_ones(service: Service) -> None:
    response = service.client.delete("/v1/models")

    assert {each.strip() for each in response.headers["Allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}


def test_a_database_that_cannot_be_opened_is_an_unavailable_service(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    service = make_service(CONTROL_PLANE_DATABASE_URL=f"sqlite:///{tmp_path}/file/data.sqlite3")

    assert service.call("GET", "/v1/health").status_code == 503
    assert service.call("GET", "/v1/models", headers={"Authorization": f"Bearer {UNKNOWN}"}).status_code == 503


def test_what_is_in_the_rows_is_not_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with service.parts.database.writing() as connection:
        connection.execute(text("DROP TABLE api_keys"))
    response = service.call("GET", "/v1/models", headers={"Authorization": f"Bearer {UNKNOWN}"})

    assert response.status_code == 503
    assert "no such table" in caplog.text
    assert UNKNOWN[4:20] not in caplog.text


def test_an_unavailable_service_says_when_to_come_back(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert int(without_database(service, monkeypatch).headers["Retry-After"]) > 0


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/generations/", "/v1/health/x", "/v1/files", "/v1/", "/v1"])
def test_an_unknown_path_is_not_found(path: str, service: Service) -> None:
    response = service.client.get(path, headers=service.headers())

    assert response.status_code == (405 if path == "/v1/files" else 404)
    assert response.get_json()["error"]["code"].startswith("BSE")


def test_paths_are_not_redirected_to_others(make_service: Callable[..., Service]) -> None:
    service = make_service(**OFF)

    assert service.client.get("/v1//health").status_code == 404


@pytest.mark.parametrize("path", ["/v1/health", "/v1/models", "/v1/generations"])
def test_head_answers_as_get_does_without_the_body(path: str, service: Service) -> None:
    headers = service.headers()
    got, head = service.client.get(path, headers=headers), service.client.head(path, headers=headers)

    assert head.status_code == got.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/v1/models", {"GET", "HEAD", "OPTIONS"}), ("/v1/estimate", {"POST", "OPTIONS"})],
)
def test_options_needs_no_key_and_lists_the_methods(path: str, methods: set[str], service: Service) -> None:
    response = service.client.options(path)

    assert response.status_code == 200
    assert {each.strip() for each in response.headers["Allow"].split(",")} == methods
