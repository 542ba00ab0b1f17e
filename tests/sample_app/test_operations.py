"""All fifteen operations in all three regions, over HTTP, behind the whole guard: a good and a bad request for each."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from openapi_core.testing import MockResponse
from werkzeug.serving import make_server

from sample_app import create_app
from sample_app.api_keys import Scope
from sample_app.config import REGION_HOSTS
from sample_app.demo import ACCOUNT_ID, seed_demo
from sample_app.providers.port import Accepted, WebhookRefused
from tests.sample_app.fakes import FakePort, fake_edges
from tests.sample_app.support import (
    CRON_SECRET,
    EXAMPLES,
    Clock,
    Service,
    check_answer,
    contract,
    documented,
    mock_request,
    service_config,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sample_app.providers.port import Notice

WEBHOOK_SECRET = b"what replicate signs with"


class SigningPort(FakePort):
    """Verifies as Standard Webhooks say; the adapters' own tests have the rest."""

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notice:
        lowered = {name.lower(): value for name, value in headers.items()}
        if lowered.get("webhook-signature") != f"v1,{signature(lowered, raw_body)}":
            raise WebhookRefused("bad_signature")
        told = json.dumps({"id": "job", "status": "working"}).encode()
        return super().read_webhook({"webhook-signature": "signed", "webhook-id": lowered["webhook-id"]}, told)


def signature(headers: Mapping[str, str], body: bytes) -> str:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return base64.b64encode(hmac.digest(WEBHOOK_SECRET, signed, "sha256")).decode()


@dataclass
class Region:
    """One region's service and what stands for the placeholders of the examples."""

    host: str
    port: int
    service: Service
    stands_for: dict[str, str]

    def send(self, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        body = body_of(request)
        headers = {name: self._filled(value) for name, value in request["headers"].items()}
        if "webhook-signature" in headers and body is not None:
            headers["webhook-signature"] = f"v1,{signature(headers, body)}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(request["method"], request["path"], body, {"Host": self.host, **headers})
            answer = connection.getresponse()
            return answer.status, {name.title(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def _filled(self, value: str) -> str:
        for placeholder, real in self.stands_for.items():
            value = value.replace(placeholder, real)
        return value


@contextmanager
def serving(host: str, folder: Path, **settings: str) -> Iterator[Region]:
    """The app of one region, with a database of its own, on a port of this machine."""
    clock, edges = Clock(), fake_edges()
    for provider in list(edges.ports):
        edges.ports[provider] = SigningPort(provider, submits=[Accepted("job")])  # type: ignore[index]
    region = host.split(".")[1]
    config = service_config(folder) | {
        "BSGUARD_REGION": region,
        "BSGUARD_CONTRACT_MODE": "enforce",
        "BSGUARD_STATE_DIR": str(folder / region),
        "CONTROL_PLANE_DATABASE_URL": f"sqlite:///{folder}/{{region}}.sqlite3",
        "CONTROL_PLANE_API_HOSTS": "",
        **settings,
    }
    app = create_app(config, clock=clock, edges=edges)
    service = Service(app, app.extensions["control_plane"], clock, edges, folder)
    stands_for = {
        "${API_KEY}": seed_demo(service.parts).token,
        "${READ_ONLY_KEY}": service.token(Scope.READ, account=ACCOUNT_ID),
        "${CRON_SECRET}": CRON_SECRET,
        "${PLAYGROUND_KEY}": service.token(Scope.PLAYGROUND, account=ACCOUNT_ID),
    }
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Region(host, server.server_port, service, stands_for)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        assert service.parts.database.ledger.audit() == ()
        service.parts.database.dispose()


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Region]]:
    folder = tmp_path_factory.mktemp("regions")
    with ExitStack() as stack:
        yield {host: stack.enter_context(serving(host, folder)) for host in REGION_HOSTS}


OPERATIONS = [(host, name) for host in REGION_HOSTS for name in EXAMPLES]


def test_45_operations() -> None:
    assert sorted(EXAMPLES) == sorted(documented())
    assert all(example["operation_id"] == name for name, example in EXAMPLES.items())
    assert len(OPERATIONS) == 45


@pytest.mark.parametrize(("host", "name"), OPERATIONS)
def test_the_good_request_of(host: str, name: str, regions: dict[str, Region]) -> None:
    asked, expected = EXAMPLES[name]["good"]["request"], EXAMPLES[name]["good"]["response"]
    status, headers, body = regions[host].send(asked)
    hold_against_the_contract(asked, status, headers, body)

    assert status == expected["status"], body
    assert set(expected.get("headers", {})) <= set(headers)
    if "body" in expected:
        assert shape(json.loads(body)) == shape(expected["body"])


@pytest.mark.parametrize(("host", "name"), OPERATIONS)
def test_the_bad_request_of(host: str, name: str, regions: dict[str, Region]) -> None:
    asked, expected = EXAMPLES[name]["bad"]["request"], EXAMPLES[name]["bad"]["response"]
    status, headers, body = regions[host].send(asked)
    hold_against_the_contract(asked, status, headers, body)

    assert status == expected["status"], body
    assert json.loads(body)["error"]["code"] == expected["code"]


def test_a_region_is_not_served_by_another(regions: dict[str, Region]) -> None:
    us, jp = regions[REGION_HOSTS[0]], regions[REGION_HOSTS[2]]
    astray = Region(jp.host, us.port, us.service, us.stands_for)
    models = EXAMPLES["listModels"]["good"]["request"]

    assert astray.send(models)[0] == 421
    assert Region(jp.host, jp.port, jp.service, us.stands_for).send(models)[0] == 401


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


def hold_against_the_contract(asked: dict[str, Any], status: int, headers: dict[str, str], body: bytes) -> None:
    answer: Any = type("Answer", (), {"data": body, "status_code": status, "headers": headers})()
    answer.content_type = headers.get("Content-Type", "")
    check_answer(asked["method"], asked["path"], answer)


def body_of(request: dict[str, Any]) -> bytes | None:
    if "body" in request:
        return json.dumps(request["body"]).encode()
    if "body_text" in request:
        return str(request["body_text"]).encode()
    return base64.b64decode(request["body_base64"]) if "body_base64" in request else None


CHANGING = (
    "request_id",
    "created_at",
    "updated_at",
    "expires_at",
    "as_of",
    "region",
    "generation_id",
    "file_id",
    "url",
)
# What was spent before depends on the order in which the tests run.
BOOKS = ("entries", "available", "reserved", "next_cursor", "entry_id", "generations", "handled", "status", "version")


def shape(value: Any, name: str = "") -> Any:
    """*value* without what differs from run to run."""
    if isinstance(value, dict):
        return {key: None if key in BOOKS and name == "data" else shape(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return None if name in CHANGING else value
