"""What the tests of the sample app share: a service under test, its contract, and the contract's examples."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from sample_app.api_keys import API_SCOPES, Scope
from sample_app.catalogue import Provider

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from sample_app.edges import Edges
    from sample_app.services import ControlPlane
    from tests.sample_app.fakes import FakeArtifacts, FakePort

ROOT = Path(__file__).parents[2]
CRON_SECRET = "c0ffee" * 8
ALL_SCOPES = API_SCOPES


@dataclass
class Clock:
    """A clock that stands still until it is told otherwise."""

    now: int = 1_776_600_000_000

    def __call__(self) -> int:
        return self.now


@dataclass
class Service:
    """An app with the things that tests do to it."""

    app: Any
    parts: ControlPlane
    clock: Clock
    edges: Edges
    folder: Path = Path()
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def token(self, *scopes: Scope, account: str = "acme", **options: Any) -> str:
        return self.parts.keys.create(account, scopes or ALL_SCOPES, **options).token

    def headers(self, *scopes: Scope, account: str = "acme", **options: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(*scopes, account=account, **options)}"}

    def port(self, name: str) -> FakePort:
        found: Any = self.edges.ports[Provider(name)]
        return found

    @property
    def artifacts(self) -> FakeArtifacts:
        found: Any = self.edges.artifacts
        return found

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        """Send a request and hold the answer against the contract."""
        response: TestResponse = self.client.open(path, method=method, **options)
        check_answer(method, path, response)
        return response


def text_of(body: bytes, charset: str = "utf-8") -> str:
    return body.decode(charset)


@functools.cache
def contract() -> OpenAPI:
    # The library leaves types that it does not know as bytes; the contract says that an event stream is text.
    config = Config(extra_media_type_deserializers={"text/event-stream": text_of})
    return OpenAPI.from_file_path(str(ROOT / "openapi" / "control-plane.yaml"), config=config)


def mock_request(method: str, path: str, headers: dict[str, str], body: bytes | None, content_type: str) -> MockRequest:
    path, _, query = path.partition("?")
    return MockRequest(
        "https://api.us.babysea.ai",
        method.lower(),
        path,
        args=dict(pair.split("=", 1) for pair in query.split("&") if pair),
        headers=headers,
        data=body,
        content_type=content_type,
    )


def check_answer(method: str, path: str, response: TestResponse) -> None:
    mock = MockResponse(
        response.data,
        status_code=response.status_code,
        headers=dict(response.headers),
        content_type=response.content_type or "",
    )
    contract().validate_response(mock_request(method, path, {}, None, "application/json"), mock)


def read_example(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


EXAMPLES = {path.stem: read_example(path) for path in sorted((ROOT / "openapi" / "examples").glob("*.json"))}


DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "openapi" / "control-plane.yaml").read_text())


def documented() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Method, path template and operation object of each operation, by operation id."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def service_config(folder: Path) -> dict[str, Any]:
    return {
        # The tests send more than a client may; how often is tested elsewhere.
        "BSGUARD_LIMITER_GLOBAL_RATE": "1000000/second",
        "TESTING": True,
        "CONTROL_PLANE_DATABASE_URL": f"sqlite:///{folder}/control-plane.sqlite3",
        "CONTROL_PLANE_CRON_SECRET": CRON_SECRET,
        "BSGUARD_STATE_DIR": str(folder / "guard"),
        # The app checks what it takes by itself too; `test_contract.py` has what the guard answers before it does.
        "BSGUARD_CONTRACT_MODE": "off",
        # What goes on besides requests is set going by the tests, and they do not wait.
        "CONTROL_PLANE_RUNNER_THREADS": 0,
        "CONTROL_PLANE_SWEEP_SECONDS": 0,
        "CONTROL_PLANE_STREAM_SECONDS": 0,
        "CONTROL_PLANE_PUBLIC_URL": "https://api.us.babysea.ai",
    }
