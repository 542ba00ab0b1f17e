"""What the contract tests share: a contract around an application that counts, and other people's material."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Contract
from bsguard.contract.compiler import compile_document
from bsguard.contract.load import Document
from bsguard.testing import Answer, environ, run

if TYPE_CHECKING:
    from bsguard.contract.operations import Compiled
    from bsguard.core.events import Event

ROOT = Path(__file__).parents[2]
OURS = ROOT / "openapi" / "control-plane.yaml"
# Not part of the repository; see tests/servers/recorded.py.
DATA = Path(os.environ.get("BSGUARD_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


def needs(name: str) -> pytest.MarkDecorator:
    """Skip where the test data of that name is not there."""
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"{name} is not in {DATA.name}")


def spec(paths: dict[str, Any], version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    """A document with these paths."""
    return {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": paths, **more}


def compiled(paths: dict[str, Any], version: str = "3.1.0", **more: Any) -> Compiled:
    return compile_document(Document("api.json", spec(paths, version, **more)))


class Guarded:
    """A contract around an application that answers 200 with the body it was given."""

    def __init__(self, folder: Path, document: dict[str, Any] | Path, **config: Any) -> None:
        self.events: list[Event] = []
        self.calls = 0
        path = document if isinstance(document, Path) else folder / "api.json"
        if not isinstance(document, Path):
            path.write_text(json.dumps(document), encoding="utf-8")
        entry = {"file": path, "hosts": ["localhost"]} if isinstance(document, Path) else path
        config = {"DOCUMENTS": [entry], "STRICT": False, **config}
        self.layer = Contract(self._app, config, emit=self.events.append)

    def _app(self, request: Any, start_response: Any) -> list[bytes]:
        self.calls += 1
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [request["wsgi.input"].read()]

    def ask(self, *request: Any, **facts: Any) -> Answer:
        self.events.clear()
        return run(self.layer, environ(*request, **facts))

    def rules(self) -> list[str]:
        """The rules that fired on the last request."""
        return [getattr(event, "rule", "") for event in self.events if hasattr(event, "code")]


def operation(*parameters: dict[str, Any], body: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """An operation object."""
    made: dict[str, Any] = {"responses": {"200": {"description": "ok"}}, **more}
    if parameters:
        made["parameters"] = list(parameters)
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return made


def query(name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A query parameter."""
    return {"name": name, "in": "query", "schema": schema, **more}
