"""The managed layer with the Core Rule Set as published, and with everything that its peers let through."""

from __future__ import annotations

import json
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Managed
from bsguard.core.errors import ConfigError
from bsguard.managed.config import ManagedConfig
from bsguard.managed.sources import read_program
from bsguard.testing import environ, run
from tests.managed.support import Judged, hello, judge
from tests.seclang.recorded import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

CRS = FOLDER / "crs"
pytestmark = pytest.mark.skipif(not CRS.is_dir(), reason=f"needs the Core Rule Set in {CRS}")

BROWSER = {"User-Agent": "Mozilla/5.0", "Accept": "*/*", "Host": "shop.example.com"}
SQL = "1' union select password from users-- -"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@lru_cache
def config(**settings: Any) -> ManagedConfig:
    return ManagedConfig(crs_dir=CRS, **settings)


def asked(method: str = "GET", target: str = "/", *, headers: Any = None, body: bytes = b"", **more: Any) -> Any:
    return environ(method, target, headers=BROWSER | (headers or {}), body=body, **more)


judged = partial(judge, layer=Managed)


def test_levels_that_exclude_each_other_are_told_at_start(tmp_path: Path) -> None:
    setup = tmp_path / "crs-setup.conf"
    example = (CRS / "crs-setup.conf.example").read_text()
    setup.write_text(example + '\nSecAction "id:900001,phase:1,pass,nolog,setvar:tx.detection_paranoia_level=1"\n')

    with pytest.raises(ConfigError, match="refuses every request as it is set up, by rule 901500"):
        Managed(lambda *_: [], {"CRS_DIR": CRS, "CRS_SETUP": setup, "PARANOIA_LEVEL": 2})


def test_every_rule_is_there() -> None:
    program = read_program(config(), CRS)

    assert len([rule for rule in program.rules if rule.position.file.startswith(str(CRS))]) == 630
    assert program.options.engine == "On"


HONEST: dict[str, dict[str, Any]] = {
    "a page": {"target": "/catalogue?page=2&sort=price"},
    "an API call": {
        "method": "POST",
        "target": "/v1/estimate",
        "headers": JSON,
        "body": json.dumps({"model": "reef-1", "prompt": "a lighthouse at dusk, oil on canvas"}).encode(),
    },
    "a form": {"method": "POST", "headers": FORM, "body": b"name=Ada+Lovelace&city=London"},
    "an upload": {
        "method": "POST",
        "headers": {"Content-Type": "multipart/form-data; boundary=BB"},
        "body": b'--BB\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG" + bytes(range(256)) * 800 + b"\r\n--BB--\r\n",
    },
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_requests_pass(name: str) -> None:
    assert len(HONEST) == 4

    seen = judged(asked(**HONEST[name]), config=config())

    assert (seen.status, seen.denied) == (200, [])


HOSTILE: dict[str, dict[str, Any]] = {
    "in the query": {"target": "/?q=1'%20union%20select%20password%20from%20users--%20-"},
    "in the path": {"target": "/a/..%2f..%2f..%2fetc%2fpasswd"},
    "in a form": {"method": "POST", "headers": FORM, "body": b"q=" + SQL.replace(" ", "+").encode()},
    "in the second of two keys": {"method": "POST", "headers": JSON, "body": b'{"a": 1, "a": "%s"}' % SQL.encode()},
    "in JSON, twelve deep": {
        "method": "POST",
        "headers": JSON,
        "body": b'{"a":' * 12 + json.dumps(SQL).encode() + b"}" * 12,
    },
    "in JSON, two hundred deep": {
        "method": "POST",
        "headers": JSON,
        "body": b"[" * 200 + json.dumps(SQL).encode() + b"]" * 200,
    },
    "in JSON, written with escapes": {
        "method": "POST",
        "headers": JSON,
        "body": b'{"q": "%s"}' % "".join(f"\\u{ord(char):04x}" for char in SQL).encode(),
    },
    "in the name of a key": {"method": "POST", "headers": JSON, "body": json.dumps({SQL: 1}).encode()},
    "in multipart": {
        "method": "POST",
        "headers": {"Content-Type": "multipart/form-data; boundary=BB"},
        "body": b'--BB\r\nContent-Disposition: form-data; name="q"\r\n\r\n' + SQL.encode() + b"\r\n--BB--\r\n",
    },
    "in a cookie": {"headers": {"Cookie": f"a={SQL}"}},
    "in the agent": {"headers": {"User-Agent": "sqlmap/1.7"}},
    "under a media type that is none": {"method": "POST", "headers": {"Content-Type": "text/x"}, "body": SQL.encode()},
    "after a hundred kilobytes": {
        "method": "POST",
        "headers": JSON,
        "body": json.dumps({"a": "x" * 100_000, "b": SQL}).encode(),
    },
    "after a thousand parameters": {"method": "POST", "headers": FORM, "body": b"a=1&" * 1000 + b"q=" + SQL.encode()},
}


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("name", HOSTILE)
def test_an_attack_is_found_wherever_it_is(name: str, chunked: bool) -> None:
    assert len(HOSTILE) == 14
    request = HOSTILE[name]

    seen = judged(asked(**request, chunked=chunked and "body" in request), config=config())

    assert (seen.status, seen.denied) == (403, ["949110"])
    assert seen.one("anomaly.scored").score >= 5
    assert "password" not in repr(seen.events)


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "a body over the limit": ({"headers": JSON, "body": b'"' + b"x" * 200_000 + b'"'}, 413, "size"),
    "a million parameters": ({"headers": FORM, "body": b"&" * 60_000 + b"a&" * 30_000}, 413, "limit"),
    "names that double": ({"headers": JSON, "body": b'{"aaaaaaaaaaaaaaaaaaaa":' * 5000}, 413, "limit"),
    "JSON cut short": ({"headers": JSON, "body": b'{"a": '}, 400, "unreadable"),
    "multipart without an end": (
        {"headers": {"Content-Type": "multipart/form-data; boundary=BB"}, "body": b"--BB\r\nContent-Disposition: for"},
        400,
        "unreadable",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_judged_whole_does_not_pass(name: str) -> None:
    assert len(REFUSED) == 5
    request, status, rule = REFUSED[name]

    seen = judged(asked("POST", "/x", **request), config=config(inbound_threshold=10_000))

    assert (seen.status, seen.denied) == (status, [rule])


def test_a_bug_in_a_rule_s_operator_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    from bsguard.seclang.transaction import Transaction

    def fails(self: Any) -> None:
        raise ValueError

    app = Managed(hello, config())
    assert run(app, asked()).status == 200
    monkeypatch.setattr(Transaction, "read_body", fails)

    assert run(app, asked()).status == 503


@pytest.mark.parametrize("parameter", [False, True], ids=["the whole rules", "one parameter"])
def test_an_exception_by_tag_takes_the_score_away(parameter: bool) -> None:
    scope = {"tag": "attack-sqli", "comment": "people write SQL", **({"parameter": "ARGS:q"} if parameter else {})}
    other = "/?q=1&r=1'%20union%20select%20password%20from%20users--%20-"

    def seen(target: str) -> Judged:
        return judged(asked(target=target), config=config(), settings={"EXCEPTIONS": [scope]})

    assert seen(HOSTILE["in the query"]["target"]).status == 200
    assert seen(HOSTILE["in the query"]["target"]).excepted
    assert seen(other).status == (403 if parameter else 200)


def test_answers_that_leak_are_reported() -> None:
    def leaks(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<b>Warning</b>: mysql_fetch_array() expects parameter 1; ORA-00933: SQL command not properly ended"]

    seen = judged(asked(), config=config(response=True), app=leaks)

    found = [event.rule for event in seen.events if event.name == "response.matched"]
    assert seen.status == 200
    assert [rule for rule in found if rule.startswith("managed.951")]
    assert found[-1] == "managed.959100"


HARD: dict[str, bytes] = {
    "spaces": b" " * 16_000,
    "quotes": b"'a" * 8000,
    "dollars": b"${" * 8000,
    "commands": b"; ." * 5333,
    "slashes": b"../" * 5333,
    "tags": b"<a " * 5333,
    "digits": b"1" * 16_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
def test_hard_inputs_cost_time_in_proportion_to_their_length(name: str) -> None:
    assert len(HARD) == 7
    app = Managed(lambda *_: [], config(), emit=lambda _: None, mode="monitor")

    def seconds(size: int) -> float:
        body = json.dumps({"q": HARD[name][:size].decode()}).encode()
        best = 1e9
        for _ in range(3):
            request = asked("POST", "/x", headers=JSON, body=body)
            begun = time.thread_time()
            _drive(app, request)
            best = min(best, time.thread_time() - begun)
        return best

    seconds(1000)
    assert seconds(16_000) < 40 * seconds(2_000) + 0.05


def _drive(app: Any, request: Any) -> None:
    close = getattr(app(request, lambda *_: None), "close", None)
    if close is not None:
        close()
