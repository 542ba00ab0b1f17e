"""The contract layer's verdict against openapi-core's, on the same requests of the same document, in the same run."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openapi_core import OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest
from werkzeug.wrappers import Request as WerkzeugRequest

from benchmarks.frozen import Frozen
from benchmarks.measure import app, time_apps
from bsguard import Contract
from bsguard.contract.compiler import compile_document
from bsguard.contract.load import load
from bsguard.core.request import Request
from bsguard.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

#: How many times faster the verdict must be.
RATIO_MIN = 50
#: Seconds in which a document of more than 200 operations must be compiled.
COMPILE_SECONDS_MAX = 1.0

_ROOT = Path(__file__).resolve().parent.parent
_OURS = _ROOT / "openapi" / "control-plane.yaml"
_ORDERS = _ROOT / "benchmarks" / "orders.json"
_LARGE = _ROOT.parent / "shared" / "data" / "openapi"


def run() -> list[dict[str, Any]]:
    """One row for each request, then one for each document that is compiled."""
    logging.disable(logging.WARNING)
    rows = [row for document, requests in _requests().items() for row in _measured(document, requests)]
    return rows + [_compile(path) for path in sorted({_OURS, *_LARGE.glob("*/openapi.json")})]


def _measured(document: Path, requests: dict[str, tuple[Frozen, bool]]) -> Iterator[dict[str, Any]]:
    contract = Contract(app, {"DOCUMENTS": [str(document)]})
    contestants = {"contract": _ours(contract), "openapi-core": _theirs(OpenAPI.from_file_path(str(document)))}
    for name, (frozen, valid) in requests.items():
        make = _over_https(frozen)
        if any(_verdict(one, make()) is not valid for one in contestants.values()):
            raise RuntimeError(f"{name}: the engines do not agree, so their times cannot be compared")
        timings = time_apps(contestants, make, rounds=15, calls=100)
        layer = time_apps({"bare": app, "layer": contract}, make, rounds=15, calls=300)
        ratio = timings["openapi-core"].median / timings["contract"].median
        yield {
            "what": name,
            "contract_us": round(timings["contract"].median, 1),
            "openapi_core_us": round(timings["openapi-core"].median),
            "ratio": round(ratio),
            "bar": f">= {RATIO_MIN}",
            "met": ratio >= RATIO_MIN,
            "layer_added_us": round(layer["layer"].median - layer["bare"].median, 1),
        }


def _requests() -> dict[Path, dict[str, tuple[Frozen, bool]]]:
    """Documents, and the requests to each: whether they are valid."""
    get, post = Frozen.load("get"), Frozen.load("post_order")
    wrong = post.body.replace(b'"DE"', b'"XX"').replace(b'"quantity": 6', b'"quantity": 600')
    query = "limit=20&kind=image&status=succeeded"
    one = f"/v1/generations/gen_{'0123456789abcdef' * 2}"
    return {
        _OURS: {
            "GET, 3 query parameters": (replace(get, target=f"/v1/generations?{query}"), True),
            "GET, 3 query parameters, one wrong": (replace(get, target=f"/v1/generations?{query}x"), False),
            "GET, 1 path parameter": (replace(get, target=one), True),
        },
        _ORDERS: {
            "POST, 1 KB nested": (post, True),
            "POST, 1 KB nested, two errors": (replace(post, body=wrong), False),
        },
    }


def _ours(contract: Contract) -> WSGIApplication:
    """The layer's two decisions, from the environ on."""
    settings = Settings()

    def judge(environ: Any, _start_response: Any) -> list[bytes]:
        request, _ = Request.of(environ, settings)
        head = contract.inspect_head(request)
        found = head.findings or contract.inspect_body(request).findings
        request.close()
        return [b"refused"] if found else []

    return judge


def _theirs(reference: OpenAPI) -> WSGIApplication:
    def judge(environ: Any, _start_response: Any) -> list[bytes]:
        errors = reference.iter_request_errors(WerkzeugOpenAPIRequest(WerkzeugRequest(environ)))
        return [b"refused"] if next(iter(errors), None) is not None else []

    return judge


def _verdict(judge: Callable[..., Any], environ: Any) -> bool:
    return not list(judge(environ, None))


def _over_https(frozen: Frozen) -> Callable[[], WSGIEnvironment]:
    """The documents' servers are https, and openapi-core compares that too."""
    make = frozen.factory()
    return lambda: make() | {"wsgi.url_scheme": "https"}


def _compile(path: Path) -> dict[str, Any]:
    """The fastest of some rounds: loading is not counted, for a checked document is kept."""
    document = load(path)
    seconds = []
    for _ in range(5):
        started = time.thread_time()
        compiled = compile_document(document)
        seconds.append(time.thread_time() - started)
    best = min(seconds)
    return {
        "what": f"compile {path.parent.name}/{path.name}, {len(compiled.operations)} operations",
        "contract_us": round(best * 1e6),
        "openapi_core_us": None,
        "ratio": None,
        "bar": f"< {COMPILE_SECONDS_MAX:.0f} s",
        "met": best < COMPILE_SECONDS_MAX,
        "layer_added_us": None,
    }
