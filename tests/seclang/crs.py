"""The regression tests of the OWASP Core Rule Set: found, read, turned into requests, judged.

What the tests want is told in `crs-tests/CONFIGURATION.md` beside them.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlencode

import yaml

from bsguard.seclang import Request, Response, RuleSet
from tests.seclang.recorded import FOLDER

if TYPE_CHECKING:
    from bsguard.seclang import Inspection

CRS = FOLDER / "crs"
TESTS = FOLDER / "crs-tests" / "tests"
COUNT = 3604

#: What the tests want the rule set to be set up with, besides the defaults of the example file.
SETUP = """
SecRuleEngine {engine}
SecResponseBodyAccess On
SecAction "id:900005,phase:1,nolog,pass,\\
    setvar:tx.blocking_paranoia_level={level},\\
    setvar:tx.crs_validate_utf8_encoding=1,\\
    setvar:tx.arg_name_length=100,\\
    setvar:tx.arg_length=400,\\
    setvar:tx.total_arg_length=64000,\\
    setvar:tx.max_num_args=255,\\
    setvar:tx.max_file_size=64100,\\
    setvar:tx.combined_file_sizes=65535"
"""


@lru_cache
def rule_set(level: int = 4, engine: str = "DetectionOnly", *, plain: bool = False) -> RuleSet:
    """CRS at a paranoia level; *plain* leaves the limits of the tests out."""
    setup = SETUP.format(level=level, engine=engine)
    if plain:
        setup = re.sub(r"(?m)^ +setvar:tx\.(?!blocking_paranoia_level).*\n", "", setup).rstrip(",\\\n") + '"\n'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "setup.conf")
        path.write_text(setup)
        return RuleSet.load([CRS / "crs-setup.conf.example", path, CRS / "rules" / "*.conf"])


@dataclass(frozen=True)
class Stage:
    """One request of a test, and what must come of it."""

    request: Request
    response: Response | None
    expected: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One test."""

    rule_id: int
    test_id: int
    stages: tuple[Stage, ...]

    @property
    def name(self) -> str:
        return f"{self.rule_id}-{self.test_id}"

    def misses(self, rules: RuleSet) -> list[str]:
        """What does not come out as the test wants it."""
        found = []
        for stage in self.stages:
            seen = rules.judge(stage.request, stage.response)
            found += missed(self.rule_id, stage.expected, seen)
        return found


def missed(rule_id: int, expected: dict[str, Any], seen: Inspection) -> list[str]:
    """The conditions that *seen* does not meet."""
    log = expected.get("log", {})
    reported = set(seen.rule_ids)
    found = [f"{wanted} is missing" for wanted in log.get("expect_ids", ()) if wanted not in reported]
    found += [f"{other} is reported" for other in log.get("no_expect_ids", ()) if other in reported]
    if "match_regex" in log:
        text = "\n".join(f"{match.message} {match.data}" for match in seen.matches)
        if not re.search(log["match_regex"], text):
            found.append(f"{log['match_regex']} is not in the messages")
    # 400 is what the web server in front answers. Here is none, so the rule must see what it would have refused.
    if expected.get("status") == 400 and rule_id not in reported:
        found.append(f"{rule_id} does not report what a server would have refused")
    return found


def cases() -> list[Case]:
    """All tests, by file and number."""
    found = []
    for path in sorted(TESTS.glob("*/*.yaml")):
        document = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for test in document.get("tests") or ():
            stages = tuple(_stage(one["input"], one["output"]) for one in test["stages"])
            found.append(Case(int(document["rule_id"]), int(test["test_id"]), stages))
    return found


def _stage(given: dict[str, Any], expected: dict[str, Any]) -> Stage:
    request = _raw(given["encoded_request"]) if "encoded_request" in given else _request(given)
    reflected = _reflected(request) if request.target.startswith(b"/reflect") else Response(200)
    return Stage(request, reflected, expected)


def _request(given: dict[str, Any]) -> Request:
    headers = [(str(name), str(value)) for name, value in (given.get("headers") or {}).items()]
    names = {name.lower() for name, _ in headers}
    method = given.get("method", "GET")
    data = given.get("data")
    text = "" if data is None else str(data)
    if given.get("autocomplete_headers", True):
        if text and "content-type" not in names:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        media = next((value for name, value in headers if name.lower() == "content-type"), "")
        if media.startswith("application/x-www-form-urlencoded"):
            text = _encoded(text)
        if "content-length" not in names and (text or method in ("POST", "PUT", "PATCH", "DELETE")):
            headers.append(("Content-Length", str(len(text.encode()))))
        if "connection" not in names:
            headers.append(("Connection", "close"))
    media = next((value for name, value in headers if name.lower() == "content-type"), "")
    if media.startswith("multipart/form-data"):
        text = re.sub(r"(?<!\r)\n", "\r\n", text)
    return Request(
        method.encode(),
        str(given.get("uri", "/")).encode(),
        tuple((name.encode(), value.encode()) for name, value in headers),
        text.encode(),
        str(given.get("version", "HTTP/1.1")).encode(),
        b"127.0.0.1",
    )


def _encoded(text: str) -> str:
    """A form in which decoding changes nothing is sent encoded; one that has escapes is sent as it is."""
    if unquote_plus(text) != text:
        return text
    pairs = (part.partition("=") for part in text.split("&"))
    return "&".join(
        urlencode({name: value}) if equals else urlencode({name: ""}).removesuffix("=") for name, equals, value in pairs
    )


def _raw(encoded: str) -> Request:
    """A request as bytes, its chunks joined."""
    head, _, body = base64.b64decode(encoded).partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    method, target, protocol = line.split(b" ", 2)
    headers = tuple((name, value.strip()) for name, _, value in (one.partition(b":") for one in lines))
    if any(name.lower() == b"transfer-encoding" for name, _ in headers):
        chunks = re.findall(rb"(?s)[0-9A-Fa-f]+\r\n(.*?)\r\n", body)
        body = b"".join(chunks)
    return Request(method, target, headers, body, protocol, b"127.0.0.1")


def _reflected(request: Request) -> Response:
    """What the tests' back end answers: what the body asks for."""
    try:
        wanted = json.loads(request.body)
    except ValueError:
        return Response(200)
    body = wanted.get("body", "").encode()
    if "encodedBody" in wanted:
        body = base64.b64decode(wanted["encodedBody"])
    headers = tuple((name.encode(), value.encode()) for name, value in wanted.get("headers", {}).items())
    if not any(name.lower() == b"content-type" for name, _ in headers):
        headers += ((b"Content-Type", b"text/plain; charset=utf-8"),)
    return Response(wanted.get("status", 200), headers, body)
