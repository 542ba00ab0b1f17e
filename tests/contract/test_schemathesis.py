"""schemathesis against our document: valid requests pass, invalid ones are refused, whatever it thinks of.

The application behind the guard answers 200 to everything, so that every other answer is the guard's. The statuses
that count are strict: schemathesis itself takes a 500 for a refusal and a 404 for an acceptance.
"""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from bsguard import Contract
from bsguard.contract.pointers import resolve
from bsguard.testing import run as call
from tests.contract.support import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Credentials for every scheme of the document, so that a 401 hides nothing.
CREDENTIALS = {
    "Authorization": "Bearer x",
    "X-Cron-Secret": "x",
    "webhook-signature": "v1,x",
    "X-CSRF-Token": "x",
    "Cookie": "dashboard_session=x",
}
ACCEPTED = {200}
#: 404 for an empty path parameter, 405 for another method, 413 for a body that is too large.
REFUSED = {400, 404, 405, 413, 415, 422}


IMPOSSIBLE = {(GenerationMode.NEGATIVE, label) for label in ("GET /v1/health", "POST /v1/files")}


def fine(request: Any, start_response: Any) -> list[bytes]:
    request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b"{}"]


class Guarded:
    """The application behind the contract, and beside it the same behind openapi-core."""

    def __init__(self) -> None:
        config = {"DOCUMENTS": [{"file": str(OURS), "hosts": ["localhost"]}], "FALLTHROUGH": "block"}
        self.layer = Contract(fine, config, emit=lambda _event: None)
        self.reference = Contract(fine, config | {"ENGINE": "reference"}, emit=lambda _event: None)
        self.last: tuple[dict[str, Any], bytes] = ({}, b"")

    def __call__(self, request: Any, start_response: Any) -> Any:
        body = request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
        self.last = (dict(request), body)
        return self.layer(request | {"wsgi.input": io.BytesIO(body)}, start_response)

    def reference_accepts(self) -> bool:
        """Whether openapi-core lets the last request pass too: on the wire, a wrong value may be a right one's text."""
        request, body = self.last
        return call(self.reference, request | {"wsgi.input": io.BytesIO(body)}).status == 200


@pytest.fixture(scope="module")
def api() -> Any:
    logging.getLogger("bsguard.events").setLevel(logging.CRITICAL)
    document = yaml.safe_load(OURS.read_text(encoding="utf-8"))
    document["servers"] = [{"url": "http://localhost"}]
    without_security(document)
    schema = schemathesis.openapi.from_dict(document)
    schema.app = Guarded()
    return schema


def without_security(document: dict[str, Any]) -> None:
    """Leave credentials to us: what schemathesis makes of them would be a 401, which hides everything else."""
    document.pop("security")
    for item in document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation.pop("security", None)
    # The key in the query of a signed address is declared by its scheme alone.
    address = {"name": "signature", "in": "query", "schema": {"type": "string"}}
    document["paths"]["/v1/files/{file_id}"]["get"]["parameters"].append(address)


def operations(api: Any) -> Iterator[Any]:
    for result in api.get_all_operations():
        yield result.ok()


def run(api: Any, mode: GenerationMode, examples: int) -> tuple[int, list[str]]:
    """How many cases ran over all operations, and those that were answered wrongly."""
    ran: list[int] = []
    wrong: list[str] = []
    for index, operation in enumerate(operations(api)):
        options = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        try:
            seed(index)(options(given(st.data())(judged(api, operation, mode, ran, wrong))))()
        except Unsatisfiable:
            # It takes nothing that schemathesis knows how to get wrong.
            assert (mode, operation.label) in IMPOSSIBLE
    return len(ran), wrong


def judged(api: Any, operation: Any, mode: GenerationMode, ran: list[int], wrong: list[str]) -> Callable[[Any], None]:
    """What is done with each case of an operation."""

    def one(data: Any) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if mode is GenerationMode.NEGATIVE:
            broken = {str(place.value) for place, info in case.meta.components.items() if info.mode is mode}
            # Headers that nobody declared are no violation: proxies and browsers add their own.
            if not broken - {"header", "headers", "cookie", "cookies"}:
                return
        if operation.label == "POST /v1/files" and not case.body:
            return  # an upload of nothing is no body on the wire, and a body is required
        response = case.call(headers=CREDENTIALS)
        ran.append(response.status_code)
        accepted = mode is GenerationMode.POSITIVE
        right = response.status_code in (ACCEPTED if accepted else REFUSED)
        if not right and (accepted or not api.app.reference_accepts()):
            wrong.append(f"{case.as_curl_command()} -> {response.status_code} {response.text[:300]}")

    return one


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_a_few_cases_of_every_operation(api: Any, mode: GenerationMode) -> None:
    ran, wrong = run(api, mode, 12)

    assert wrong == []
    assert ran > 100


@pytest.mark.long
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_many_cases_of_every_operation(api: Any, mode: GenerationMode) -> None:
    ran, wrong = run(api, mode, 250)

    assert wrong == []
    assert ran > 2_500


def test_our_document_has_no_operation_that_is_left_out(api: Any) -> None:
    document = yaml.safe_load(OURS.read_text(encoding="utf-8"))

    assert sum(1 for _ in operations(api)) == 15
    assert resolve(json.loads(json.dumps(document)), "/paths/~1v1~1health/get/operationId") == "getHealth"
