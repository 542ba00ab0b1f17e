"""The same rules in libmodsecurity, and the same rules where the fast libraries are missing: the same rules match."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest

from bsguard.seclang import Request
from tests.seclang import crs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

pytestmark = pytest.mark.skipif(not crs.CRS.is_dir(), reason=f"needs the Core Rule Set in {crs.CRS}")

#: What our engine does by itself, and libmodsecurity by rules that its example configuration begins with.
PROCESSORS = r"""
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" \
    "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/(?:[a-z0-9.-]+\+)?json" \
    "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
"""
#: The rules with ``@detectSQLi`` and ``@detectXSS``, whose detectors are not the same.
DETECTED = {941100, 941101, 942100, 942101}
#: Rules that come out differently, each with the reason.
EXPLAINED = {
    920100: "ModSecurity makes up a request line for a protocol that is empty.",
    930130: "libmodsecurity's phrase search does not find .env in /.a0proj/secrets.env.",
    942131: "libmodsecurity reports the first link of a chain even where the chain does not match.",
}
#: libmodsecurity fills REQUEST_BODY for XML too, which these rules read, and which CRS's own tests do not want.
OF_RAW_XML = range(944_000, 945_000)
#: Blocking evaluation and reporting: sums of the others.
SUMS = range(949_000, 1_000_000)

Ask = Callable[[Request], set[int]]


def peer(level: int) -> Ask:
    """libmodsecurity with CRS at a paranoia level: the ids that it reports for a request."""
    modsecurity: Any = pytest.importorskip("libmodsecurity")
    engine, rules = modsecurity.ModSecurity(), modsecurity.RulesSet()
    engine.set_log_callback(lambda *_: None)
    setup = PROCESSORS + crs.SETUP.format(level=level, engine="DetectionOnly").replace(
        "BodyAccess On", "BodyAccess Off"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "setup.conf")
        path.write_text(setup.replace("SecRequestBodyAccess Off", "SecRequestBodyAccess On"))
        for file in [crs.CRS / "crs-setup.conf.example", path, *sorted((crs.CRS / "rules").glob("*.conf"))]:
            rules.load_from_uri(str(file))
            assert not rules.get_parser_error()

    def ask(request: Request) -> set[int]:
        with engine.transaction(rules) as transaction:
            transaction.process_connection("127.0.0.1", 40000, "127.0.0.1", 80)
            version = request.protocol.decode().removeprefix("HTTP/")
            transaction.process_uri(request.target, request.method.decode(), version)
            for name, value in request.headers:
                transaction.add_request_header(name, value)
            transaction.process_request_headers()
            if request.body:
                transaction.append_request_body(request.body)
            transaction.process_request_body()
            transaction.process_logging()
            return {message.rule_id for message in transaction.get_rule_messages()}

    return ask


def payloads() -> list[Request]:
    """The samples of libinjection as a parameter of a request."""
    headers = ((b"Host", b"example.com"), (b"User-Agent", b"tests"), (b"Accept", b"*/*"))
    lines = [
        line.strip()
        for path in sorted((crs.FOLDER / "libinjection").rglob("*.txt"))
        for line in path.read_bytes().splitlines()
    ]
    return [
        Request(target=f"/?q={quote_from_bytes(line, safe='')}".encode(), headers=headers, client=b"127.0.0.1")
        for line in lines
        if line and not line.startswith(b"#")
    ]


def is_xml(request: Request) -> bool:
    return any(name.lower() == b"content-type" and b"xml" in value for name, value in request.headers)


def compare(level: int, requests: Sequence[Request]) -> None:
    ask, ours = peer(level), crs.rule_set(level)
    different, detected, agreed = Counter[int](), 0, 0
    for request in requests:
        expected = {one for one in ask(request) if one not in SUMS}
        found = {one for one in ours.judge(request).rule_ids if one not in SUMS}
        unlike = {one for one in expected ^ found if not (one in OF_RAW_XML and is_xml(request))}
        different.update(unlike - DETECTED)
        detected += bool(unlike & DETECTED)
        agreed += not unlike - DETECTED - EXPLAINED.keys()

    assert different.keys() <= EXPLAINED.keys(), different
    assert agreed == len(requests)
    assert sum(different.values()) <= len(requests) * 0.005, different
    assert detected <= len(requests) * 0.03


def spread(requests: Iterable[Request], count: int) -> list[Request]:
    return random.Random(5).sample(list(requests), count)


def of_tests() -> list[Request]:
    return [stage.request for case in crs.cases() for stage in case.stages]


@pytest.mark.parametrize("level", [1, 2])
def test_libmodsecurity_reports_the_same(level: int) -> None:
    compare(level, spread(of_tests(), 400))
    compare(level, spread(payloads(), 400))


@pytest.mark.long
@pytest.mark.parametrize("level", [1, 2])
def test_libmodsecurity_reports_the_same_on_everything(level: int) -> None:
    requests, samples = of_tests(), payloads()

    assert len(requests) > crs.COUNT
    assert len(samples) > 15_000
    compare(level, requests)
    compare(level, samples)


_WITHOUT = """
import json, sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from tests.seclang import crs
rules = crs.rule_set(2)
print(json.dumps([sorted(rules.judge(case.stages[0].request).rule_ids) for case in crs.cases()[:: int(sys.argv[2])]]))
"""


@pytest.mark.parametrize(("hidden", "every"), [("ahocorasick_rs", 60), ("ahocorasick_rs,re2", 60)])
def test_without_the_fast_libraries_the_same_rules_match(hidden: str, every: int) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "BSGUARD_TEST_DATA": str(crs.FOLDER)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _WITHOUT, hidden, str(every)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    rules = crs.rule_set(2)
    expected = [sorted(rules.judge(case.stages[0].request).rule_ids) for case in crs.cases()[::every]]

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected
    assert sum(map(len, expected)) > len(expected)
