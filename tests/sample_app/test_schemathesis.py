"""schemathesis against the running service behind the whole guard, with strict statuses.

What the document allows gets its success, or one of the refusals that the business has for that operation; what it
does not allow is refused. Every answer is held against the document. Nothing is ever a 500.
"""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from werkzeug.serving import make_server

from sample_app import create_app
from sample_app.api_keys import Scope
from sample_app.demo import ACCOUNT_ID, seed_demo
from sample_app.models import CATALOGUE
from sample_app.providers.port import Notice, Working
from tests.contract.test_schemathesis import without_security
from tests.sample_app.fakes import FakePort, fake_edges
from tests.sample_app.support import CRON_SECRET, DOCUMENT, Clock, Service, check_answer, service_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What valid data may come to, by operation: its success, and the refusals of the business.
RIGHT: dict[str, set[int]] = {
    "getHealth": {200},
    "listModels": {200},
    "estimateCost": {200, 404, 422},
    "generateImage": {202, 404, 422},
    "generateVideo": {202, 404, 422},
    "listGenerations": {200, 422},
    "getGeneration": {200, 204, 404},
    "cancelGeneration": {200, 404, 409},
    "downloadFile": {302, 401, 404},
    "uploadFile": {201, 422},
    "getUsage": {200, 422},
    "createTopup": {201, 422},
    "runPlayground": {202, 404, 422},
    "receiveProviderWebhook": {202},
    "runCronJob": {200},
}
#: 404 for an empty path parameter, 405 for another method.
REFUSED = {400, 401, 404, 405, 413, 415, 422}
IMPOSSIBLE = {(GenerationMode.NEGATIVE, label) for label in ("GET /v1/health", "POST /v1/files")}


class Believing(FakePort):
    """Takes every report for signed."""

    def read_webhook(self, headers: Any, raw_body: bytes) -> Notice:
        return Notice(str(hash(raw_body)), Working("job"))


class Running:
    """The service on a port of this machine, with credits that do not end and no limits on requests."""

    def __init__(self, folder: Any) -> None:
        edges = fake_edges()
        for provider in list(edges.ports):
            edges.ports[provider] = Believing(provider)  # type: ignore[index]
        config = service_config(folder) | {
            "BSGUARD_CONTRACT_MODE": "enforce",
            "BSGUARD_LIMITER_MODE": "monitor",
            "BSGUARD_CONTRACT_FALLTHROUGH": "block",
            "RATELIMIT_ENABLED": False,
        }
        self.app = create_app(config, clock=Clock(), edges=edges)
        self.service = Service(self.app, self.app.extensions["control_plane"], Clock(), edges, folder)
        self.credentials = {
            "Authorization": f"Bearer {seed_demo(self.service.parts).token}",
            "X-Cron-Secret": CRON_SECRET,
            "webhook-signature": "v1,x",
        }
        self.trial = self.service.token(Scope.PLAYGROUND, account=ACCOUNT_ID)
        self.service.parts.database.ledger.topup(ACCOUNT_ID, 10**12, key="plenty")
        path = "/v1/generations"
        listed = self.service.call("GET", path, headers=self.credentials).get_json()["data"]["generations"]
        self.generations = [each["generation_id"] for each in listed]
        self.files = [output["file_id"] for each in listed for output in each["outputs"]]
        self.server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def real(self, case: Any, chance: random.Random) -> None:
        """Put things that exist into most of the cases: of models, generations and files there are few."""
        existing: dict[str, list[str]] = {
            "model": [model.name for model in CATALOGUE.models],
            "generation_id": self.generations,
            "file_id": self.files,
        }
        for name in set(case.path_parameters or {}) & set(existing):
            if chance.random() < 0.7:
                case.path_parameters[name] = chance.choice(existing[name])
        if isinstance(case.body, dict) and "model" in case.body and chance.random() < 0.7:
            case.body["model"] = chance.choice(existing["model"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    logging.getLogger("bsguard.events").setLevel(logging.CRITICAL)
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    made = Running(tmp_path_factory.mktemp("schemathesis"))
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()
    assert made.service.parts.database.ledger.audit() == ()
    made.service.parts.database.dispose()


def api() -> Any:
    import copy

    document = copy.deepcopy(DOCUMENT)
    document["servers"] = [{"url": "http://localhost"}]
    without_security(document)
    return schemathesis.openapi.from_dict(document)


def run(running: Running, mode: GenerationMode, examples: int) -> tuple[dict[str, int], list[str]]:
    """How many cases ran for each operation, and those that were answered wrongly."""
    ran: dict[str, int] = {}
    wrong: list[str] = []
    for index, result in enumerate(api().get_all_operations()):
        operation = result.ok()
        options = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        try:
            seed(index)(options(given(st.data())(judged(running, operation, mode, ran, wrong))))()
        except Unsatisfiable:
            assert (mode, operation.label) in IMPOSSIBLE
    return ran, wrong


def judged(
    running: Running, operation: Any, mode: GenerationMode, ran: dict[str, int], wrong: list[str]
) -> Callable[[Any], None]:
    """What is done with each case of an operation."""
    name = operation.definition.raw["operationId"]
    chance = random.Random(name)
    session = requests.Session()

    def one(data: Any) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        valid = mode is GenerationMode.POSITIVE
        if valid:
            running.real(case, chance)
        else:
            broken = {str(place.value) for place, info in case.meta.components.items() if info.mode is mode}
            # Headers that nobody declared are no violation: proxies and browsers add their own.
            if not broken - {"header", "headers", "cookie", "cookies"}:
                return
        if name == "uploadFile" and not case.body:
            return  # an upload of nothing is no body on the wire, and a body is required
        credentials = dict(running.credentials)
        if name == "runPlayground":
            credentials["Authorization"] = f"Bearer {running.trial}"
        try:
            response = case.call(
                base_url=running.url, headers=credentials, session=session, allow_redirects=False, timeout=30
            )
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError):
            return  # cannot be put on the wire
        ran[name] = ran.get(name, 0) + 1
        problem = "" if response.status_code in (RIGHT[name] if valid else REFUSED) else "status"
        try:
            check(case, name, response)
        except Exception as error:
            problem = f"{problem} {error}"
        if problem and (valid or not same_as_valid(response)):
            wrong.append(f"{case.as_curl_command()} -> {response.status_code} {response.text[:300]} {problem}")

    return one


def same_as_valid(response: Any) -> bool:
    """On the wire, a wrong value may be a right one's text: `5` for 5. openapi-core is asked about that elsewhere."""
    return bool(200 <= response.status_code < 400)


def check(case: Any, name: str, response: Any) -> None:
    """Hold the answer against the document; a path that nobody declared has none."""
    if response.status_code in (404, 405) and response.json()["error"]["code"].startswith("BSE1"):
        return
    content_type = (response.headers.get("content-type") or [""])[0]
    answer: Any = type("Answer", (), {"data": response.content, "status_code": response.status_code})()
    answer.headers = {key: values[0] for key, values in response.headers.items()}
    answer.content_type = content_type
    path = DOCUMENT_PATHS[name].format(
        model="reef-1", generation_id=f"gen_{'0' * 32}", file_id=f"file_{'0' * 32}", provider="fal", job="sweep"
    )
    check_answer(case.method, path, answer)


DOCUMENT_PATHS = {
    operation["operationId"]: path
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_a_few_cases_of_every_operation(running: Running, mode: GenerationMode) -> None:
    ran, wrong = run(running, mode, 8)

    assert wrong == []
    assert sum(ran.values()) > 80


@pytest.mark.long
def test_three_thousand_cases(running: Running) -> None:
    valid, wrong = run(running, GenerationMode.POSITIVE, 150)
    invalid, wrong_too = run(running, GenerationMode.NEGATIVE, 150)

    assert wrong + wrong_too == []
    assert len(valid) == 15
    assert sum(valid.values()) + sum(invalid.values()) >= 3_000
