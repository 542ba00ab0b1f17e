"""The OpenAPI document: valid, complete, and the same as the app."""

from __future__ import annotations

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from sample_app.api_keys import Scope
from sample_app.catalogue import MediaKind, Provider
from sample_app.config import REGION_HOSTS, UPLOAD_MEDIA_TYPES
from sample_app.errors import ErrorCode
from sample_app.generation_request import FIELDS, OUTPUT_FORMATS, RATIOS, RESOLUTIONS
from sample_app.generations import Status
from sample_app.operations import Access, Views, operations
from sample_app.requests import LIMIT_DEFAULT, LIMIT_MAX
from tests.sample_app.support import DOCUMENT, Service, documented

SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = documented()
TABLE = operations(
    Views(*([type("Views", (), {"__getattr__": lambda _self, name: name})()] * 6)),
    type("Plan", (), {"limited": lambda _self, _rates, _scope, view: view})(),
)

REQUEST_SCHEMAS = [
    "ImageGenerationRequest",
    "VideoGenerationRequest",
    "EstimateRequest",
    "PlaygroundRequest",
    "TopupRequest",
]


def test_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_has_fifteen_operations_on_three_servers() -> None:
    assert len(OPERATIONS) == 15
    assert [server["url"] for server in DOCUMENT["servers"]] == [f"https://{host}" for host in REGION_HOSTS]
    assert len(OPERATIONS) * len(DOCUMENT["servers"]) == 45


def test_the_app_has_the_documents_operations_and_no_others(service: Service) -> None:
    routes = {
        (rule.endpoint, method, re.sub("<(.*?)>", r"{\1}", rule.rule))
        for rule in service.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert routes == {(name, method, path) for name, (method, path, _) in OPERATIONS.items()}
    assert len(routes) == 15


def test_the_table_and_the_document_ask_for_the_same_credentials() -> None:
    asked = {}
    for row in TABLE:
        security = OPERATIONS[row.operation_id][2]["security"]
        if isinstance(row.access, Scope):
            assert security[0] == {"apiKey": [row.access.value]}, row.operation_id
            assert ({"signedAddress": []} in security) == (row.signed is not None) == (len(security) == 2)
        elif row.access is Access.CRON:
            assert security == [{"cronSecret": []}]
        elif row.access is Access.PLAYGROUND:
            assert security == [{"playgroundKey": []}, {"dashboardSession": [], "dashboardToken": []}]
        else:
            assert not any("apiKey" in way for way in security), row.operation_id
        asked[row.operation_id] = row.access

    assert len(asked) == 15
    assert [name for name, access in asked.items() if access is Access.OPEN] == [
        "getHealth",
        "receiveProviderWebhook",
    ]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_described_in_full(name: str) -> None:
    method, path, operation = OPERATIONS[name]
    statuses = set(operation["responses"])
    common = DOCUMENT["paths"][path].get("parameters", [])

    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert {"400", "429", "503", "default"} <= statuses
    assert any(status.startswith(("2", "3")) for status in statuses)
    assert ("401" in statuses) == bool(operation["security"])
    assert len(common) == path.count("{")
    assert not (method == "GET" and "requestBody" in operation)
    assert ("415" in statuses) == ("413" in statuses) == ("requestBody" in operation)


@pytest.mark.parametrize(
    ("name", "required"),
    [("generateImage", False), ("generateVideo", False), ("runPlayground", False), ("createTopup", True)],
)
def test_what_spends_takes_an_idempotency_key(name: str, required: bool) -> None:
    references = [each["$ref"].rsplit("/", 1)[1] for each in OPERATIONS[name][2]["parameters"]]
    parameters = [DOCUMENT["components"]["parameters"][each] for each in references]
    found = [each for each in parameters if each["name"] == "Idempotency-Key"]

    assert [each.get("required", False) for each in found] == [required]
    assert "409" in OPERATIONS[name][2]["responses"]
    assert ("402" in OPERATIONS[name][2]["responses"]) == (name != "createTopup")


def test_insufficient_credits_say_what_is_missing_and_where_to_get_it() -> None:
    error = SCHEMAS["InsufficientCreditsEnvelope"]["properties"]["error"]

    assert error["required"] == ["code", "type", "message", "required", "available", "topup_url"]


def test_one_generation_can_be_followed_as_an_event_stream() -> None:
    content = OPERATIONS["getGeneration"][2]["responses"]["200"]["content"]

    assert list(content) == ["application/json", "text/event-stream"]


@pytest.mark.parametrize("name", REQUEST_SCHEMAS)
def test_request_bodies_take_no_unknown_fields(name: str) -> None:
    assert SCHEMAS[name]["additionalProperties"] is False


@pytest.mark.parametrize("name", [*REQUEST_SCHEMAS[:4], "GenerationFields"])
def test_common_fields_keep_their_order(name: str) -> None:
    present = [field for field in SCHEMAS[name]["properties"] if field != "model"]
    left_out = {"generation_duration", "generation_generate_audio"} if name == "ImageGenerationRequest" else set()

    assert present == [field for field in FIELDS if field not in left_out]
    assert len(FIELDS) == 9


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ("Ratio", RATIOS),
        ("OutputFormat", OUTPUT_FORMATS),
        ("Resolution", RESOLUTIONS),
        ("MediaKind", [kind.value for kind in MediaKind]),
        ("ProviderName", [provider.value for provider in Provider]),
        ("GenerationStatus", [status.value for status in Status]),
    ],
)
def test_the_app_knows_the_documents_values(schema: str, values: list[str]) -> None:
    assert SCHEMAS[schema]["enum"] == list(values)


def test_the_app_keeps_the_documents_bounds() -> None:
    limit = DOCUMENT["components"]["parameters"]["Limit"]["schema"]
    uploads = OPERATIONS["uploadFile"][2]["requestBody"]["content"]

    assert (limit["default"], limit["minimum"], limit["maximum"]) == (LIMIT_DEFAULT, 1, LIMIT_MAX)
    assert tuple(uploads) == UPLOAD_MEDIA_TYPES


def test_every_error_code_is_documented_as_it_is() -> None:
    rows = re.findall(r"^\| (BSE2\d{3}) \| (\d+) \| (\w+) \| (.*?) \|$", SCHEMAS["ErrorCode"]["description"], re.M)

    assert rows == [(each.code, str(each.status), each.kind, each.when) for each in ErrorCode]
    assert len({each.code for each in ErrorCode}) == len(rows) == 36
