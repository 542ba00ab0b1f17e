"""The examples: they satisfy the contract, the bad ones are refused, and the good ones of what is built work."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from openapi_core.testing import MockResponse

from sample_app.api_keys import Scope
from sample_app.demo import ACCOUNT_ID, seed_demo
from tests.sample_app.support import CRON_SECRET, EXAMPLES, Service, contract, documented, mock_request

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

BUILT = ["estimateCost", "getGeneration", "getHealth", "listGenerations", "listModels"]


def body_of(request: dict[str, Any]) -> bytes | None:
    if "body" in request:
        return json.dumps(request["body"]).encode()
    if "body_text" in request:
        return str(request["body_text"]).encode()
    return base64.b64decode(request["body_base64"]) if "body_base64" in request else None


def send(service: Service, request: dict[str, Any]) -> TestResponse:
    stands_for = {
        "${API_KEY}": seed_demo(service.parts).token,
        "${READ_ONLY_KEY}": service.token(Scope.READ, account=ACCOUNT_ID),
        "${CRON_SECRET}": CRON_SECRET,
        "${PLAYGROUND_KEY}": "none-yet",
        "${PROVIDER_SIGNATURE}": "bm9uZSB5ZXQ=",
    }
    headers = dict(request["headers"])
    for name, value in headers.items():
        for placeholder, real in stands_for.items():
            value = value.replace(placeholder, real)
        headers[name] = value
    return service.call(
        request["method"],
        request["path"],
        headers=headers,
        data=body_of(request),
        base_url="https://api.us.babysea.ai",
    )


def test_every_operation_has_an_example() -> None:
    assert sorted(EXAMPLES) == sorted(documented())
    assert len(EXAMPLES) == 15
    assert all(example["operation_id"] == name for name, example in EXAMPLES.items())


@pytest.mark.parametrize("name", EXAMPLES)
def test_good_examples_satisfy_the_contract(name: str) -> None:
    asked, answer = EXAMPLES[name]["good"]["request"], EXAMPLES[name]["good"]["response"]
    content_type = asked["headers"].get("Content-Type", "application/json")
    body = json.dumps(answer["body"]).encode() if "body" in answer else b""
    request = mock_request(asked["method"], asked["path"], asked["headers"], body_of(asked), content_type)

    found = contract().unmarshal_request(request)
    contract().validate_response(
        request, MockResponse(body, status_code=answer["status"], headers=answer.get("headers", {}))
    )

    assert found.errors == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_bad_examples_are_refused(name: str, service: Service) -> None:
    response = send(service, EXAMPLES[name]["bad"]["request"])

    assert response.status_code == EXAMPLES[name]["bad"]["response"]["status"]
    assert response.get_json()["status"] == "error"


@pytest.mark.parametrize("name", EXAMPLES)
def test_good_examples_of_what_is_built_work(name: str, service: Service) -> None:
    expected = EXAMPLES[name]["good"]["response"]
    response = send(service, EXAMPLES[name]["good"]["request"])

    if name not in BUILT:
        assert response.status_code == 501
        return
    assert response.status_code == expected["status"]
    assert shape(response.get_json()) == shape(expected["body"])


def shape(value: Any, name: str = "") -> Any:
    """*value* without what differs from run to run."""
    if isinstance(value, dict):
        return {key: shape(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return None if name in ("request_id", "created_at", "updated_at", "region") else value
