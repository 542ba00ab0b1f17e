"""The sample app behind its own document: what the guard answers before the app does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bsguard.extension import guard_of
from tests.sample_app.support import CRON_SECRET, EXAMPLES, Service, check_answer

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = {"Idempotency-Key": "k"}
GENERATION = f"/v1/generations/gen_{'0' * 32}"
# Method, path, options, status and code; the details that the answer must have, if any.
REFUSED: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/v1/models?kind=sound", {}, 400, "BSE1505"),
    ("GET", "/v1/models?admin=1", {}, 400, "BSE1506"),
    ("GET", "/v1/generations?limit=1&limit=2", {}, 400, "BSE1505"),
    ("GET", "/v1/generations/1", {}, 400, "BSE1505"),
    ("PUT", "/v1/models", {}, 405, "BSE1502"),
    ("POST", "/v1/estimate", {"json": {"model": 5}}, 400, "BSE1510"),
    ("POST", "/v1/billing/topups", {"json": {"credits": 5}}, 400, "BSE1505"),
    ("POST", "/v1/billing/topups", {"json": {"credits": 0}, "headers": KEY}, 400, "BSE1510"),
    ("POST", f"{GENERATION}/cancel", {"json": {}}, 400, "BSE1509"),
]


@pytest.fixture
def guarded(make_service: Callable[..., Service]) -> Service:
    return make_service(BSGUARD_CONTRACT_MODE="enforce")


@pytest.mark.parametrize(("method", "path", "options", "status", "code"), REFUSED)
def test_what_breaks_the_contract_is_refused(
    guarded: Service, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    headers = guarded.headers() | options.get("headers", {})
    response = guarded.client.open(path, method=method, **{**options, "headers": headers})
    if status != 405:  # for which the contract has no operation to look into
        check_answer(method, path, response)

    assert (response.status_code, response.get_json()["error"]["code"]) == (status, code)


def test_credentials_are_missing_before_the_app_is_asked(guarded: Service) -> None:
    response = guarded.call("GET", "/v1/models")

    assert (response.status_code, response.get_json()["error"]["code"]) == (401, "BSE1504")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_example_of_a_request_passes_the_guard(guarded: Service) -> None:
    refused = []
    for name, example in EXAMPLES.items():
        request = example["good"]["request"]
        secrets = {"X-Cron-Secret": CRON_SECRET, "webhook-signature": "v1,x", "webhook-timestamp": "1776600000"}
        headers = {key: secrets.get(key, value) for key, value in request.get("headers", {}).items()}
        if "Authorization" in headers:
            headers |= guarded.headers()
        # The example of an upload names a file, which is not part of it.
        sent = {"json": request["body"]} if "body" in request else {"data": b"x"} if name == "uploadFile" else {}
        response = guarded.client.open(request["path"], method=request["method"], headers=headers, **sent)
        if response.status_code >= 400 and response.get_json()["error"]["code"].startswith("BSE1"):
            refused.append(f"{name}: {response.get_data(as_text=True)}")

    assert refused == []
    assert len(EXAMPLES) == 15


def test_45_operations_are_enforced(guarded: Service) -> None:
    made = guard_of(guarded.app)

    assert "contract" in made.plan.used
    assert len(made.plan.layers["contract"].documents) == 1  # type: ignore[attr-defined]
