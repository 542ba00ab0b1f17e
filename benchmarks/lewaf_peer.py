"""Measures lewaf, the other Python engine for CRS, in an environment of its own: it needs a newer Python on paper.

Run by ``benchmarks.crs`` with that environment's interpreter, so nothing of bsguard may be imported here. On standard
input comes what to load and which requests to judge, on standard output go microseconds a request.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

_ROUNDS = 5


def main() -> None:
    """Load the rules, one file of Include lines: given one by one they lose their default action, and each blocks."""
    import lewaf.integration

    asked = json.load(sys.stdin)
    waf = lewaf.integration.WAF({"rules": [], "rule_files": [asked["rules"]]})
    print(json.dumps({name: _median(waf, one) for name, one in asked["requests"].items()}))


def _median(waf: Any, request: dict[str, Any]) -> float:
    _judge(waf, request)
    times = []
    for _ in range(_ROUNDS):
        started = time.thread_time()
        _judge(waf, request)
        times.append((time.thread_time() - started) * 1e6)
    return statistics.median(times)


def _judge(waf: Any, request: dict[str, Any]) -> None:
    transaction = waf.new_transaction()
    transaction.process_uri(request["target"], request["method"])
    transaction.add_request_headers(request["headers"])
    transaction.process_request_headers()
    if request["body"]:
        transaction.add_request_body(request["body"].encode(), request["headers"].get("Content-Type", ""))
    transaction.process_request_body()
    transaction.process_logging()


if __name__ == "__main__":
    main()
