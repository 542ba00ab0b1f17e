"""Exceptions and modes of single rules: they act before a rule has any effect, and say when they were needed."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from bsguard.core.codes import BLOCKED
from bsguard.core.config import Wanted
from bsguard.core.errors import ConfigError
from bsguard.core.exemptions import Exemption, Parameter
from bsguard.core.request import Request
from bsguard.core.settings import Settings
from bsguard.core.verdict import Finding
from bsguard.standard import read_plan
from bsguard.testing import FakeClock, environ, run
from tests.managed.support import Small, SmallConfig, Table, hello, judge

SQL = "/search?q=1+union+select+2"
WHY = {"comment": "the search of the old shop"}

# (scope, target, status, excepted, matched)
EXCEPTIONS: dict[str, tuple[dict[str, Any], str, int, list[str], list[str]]] = {
    "by id": ({"rule": "waf.942"}, SQL, 200, ["942"], []),
    "by a pattern": ({"rule": "waf.94*"}, SQL, 200, ["942"], []),
    "by tag": ({"tag": "attack-sqli"}, SQL, 200, ["942"], []),
    "another tag": ({"tag": "attack-rce"}, SQL, 403, [], ["942", "949"]),
    "another rule": ({"rule": "waf.941"}, SQL, 403, [], ["942", "949"]),
    "on its path": ({"rule": "waf.942", "path": "/search"}, SQL, 200, ["942"], []),
    "on another path": ({"rule": "waf.942", "path": "/other"}, SQL, 403, [], ["942", "949"]),
    "for its method": ({"rule": "waf.942", "method": "GET"}, SQL, 200, ["942"], []),
    "for another method": ({"rule": "waf.942", "method": "PUT"}, SQL, 403, [], ["942", "949"]),
    "for its address": ({"rule": "waf.942", "addresses": ["127.0.0.0/8"]}, SQL, 200, ["942"], []),
    "for another address": ({"rule": "waf.942", "addresses": ["10.0.0.0/8"]}, SQL, 403, [], ["942", "949"]),
    "not yet expired": ({"rule": "waf.942", "expires": "2023-11-15"}, SQL, 200, ["942"], []),
    "expired": ({"rule": "waf.942", "expires": "2023-11-14"}, SQL, 403, [], ["942", "949"]),
    "of its parameter": ({"rule": "waf.942", "parameter": "ARGS:q"}, SQL, 200, ["942"], []),
    "of its parameter in other case": ({"rule": "waf.942", "parameter": "args:Q"}, SQL, 200, ["942"], []),
    "of parameters by a pattern": ({"rule": "waf.942", "parameter": "ARGS:q*"}, SQL, 200, ["942"], []),
    "of all of a collection": ({"rule": "waf.942", "parameter": "ARGS"}, SQL, 200, ["942"], []),
    "of another parameter": ({"rule": "waf.942", "parameter": "ARGS:p"}, SQL, 403, [], ["942", "949"]),
    "of its parameter by tag": ({"tag": "language-sql", "parameter": "ARGS:q"}, SQL, 200, ["942"], []),
    "of its parameter, and another has it too": (
        {"rule": "waf.942", "parameter": "ARGS:q"},
        f"{SQL}&r=union+select",
        403,
        ["942"],
        ["942", "949"],
    ),
    "the other rules still score": (
        {"rule": "waf.942"},
        "/?q=union+select+<script&r=<script",
        403,
        ["942"],
        ["941", "949"],
    ),
    "of the rule that decides": ({"rule": "waf.949"}, SQL, 200, ["949"], ["942"]),
    "of a rule that refuses by itself": ({"rule": "waf.930"}, "/a/etc/passwd", 200, ["930"], []),
}


@pytest.mark.parametrize("source", ["settings", "overrides"])
@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions_act_before_rules_score(name: str, source: str) -> None:
    assert len(EXCEPTIONS) == 23
    scope, target, status, excepted, matched = EXCEPTIONS[name]
    exception = {**scope, **WHY}
    held = {"settings": {"EXCEPTIONS": [exception]}} if source == "settings" else {"overrides": Table(exception)}

    seen = judge(environ(target=target), **held)

    assert (seen.status, seen.excepted, seen.matched) == (status, excepted, matched)


MODES: dict[str, tuple[tuple[tuple[str, str], ...], str, int, list[str], list[str]]] = {
    "a rule that scores, off": ((("waf.942", "off"),), SQL, 200, [], []),
    "a rule that scores, monitored": ((("waf.942", "monitor"),), SQL, 200, ["942"], []),
    "a rule that refuses, off": ((("waf.930", "off"),), "/etc/passwd", 200, [], []),
    "a rule that refuses, monitored": ((("waf.930", "monitor"),), "/etc/passwd", 200, ["930"], ["930"]),
    "the rule that decides, monitored": ((("waf.949", "monitor"),), SQL, 200, ["942", "949"], ["949"]),
    "another rule": ((("waf.941", "off"),), SQL, 403, ["942", "949"], []),
}


@pytest.mark.parametrize("name", MODES)
def test_modes_of_single_rules(name: str) -> None:
    assert len(MODES) == 6
    modes, target, status, matched, would = MODES[name]

    seen = judge(environ(target=target), config=SmallConfig(rule_modes=modes))

    assert (seen.status, seen.matched, seen.rules("request.would_be_denied")) == (status, matched, would)


def test_a_rule_that_is_kept_from_acting_controls_nothing() -> None:
    class Controlling(Small):
        text = 'SecRule ARGS "@streq x" "id:1,phase:1,deny,msg:\'X\',ctl:ruleRemoveById=2"\n' + (
            'SecRule ARGS "@streq x" "id:2,phase:2,deny,msg:\'Y\'"'
        )

    seen = judge(environ(target="/?q=x"), layer=Controlling, config=SmallConfig(rule_modes=(("waf.1", "monitor"),)))

    assert seen.denied == ["2"]


CHAIN = """
SecRule REQUEST_METHOD "@streq GET" "id:7,phase:2,deny,msg:'Chain',chain"
    SecRule ARGS "@contains x" ""
"""


def test_a_parameter_that_a_later_link_looks_at_can_be_excepted() -> None:
    class Chained(Small):
        text = CHAIN

    def seen(target: str, *parameters: str) -> Any:
        scopes = [{"rule": "waf.7", "parameter": parameter, **WHY} for parameter in parameters]
        return judge(environ(target=target), layer=Chained, settings={"EXCEPTIONS": scopes})

    assert seen("/?q=x").denied == ["7"]
    excepted = seen("/?q=x&r=x", "ARGS:q", "ARGS:r")
    assert (excepted.status, excepted.excepted, excepted.matched) == (200, ["7", "7"], [])
    assert (seen("/?q=x&r=x", "ARGS:q").status, seen("/?q=x&r=x", "ARGS:q").excepted) == (403, ["7"])
    assert seen("/?q=y", "ARGS:q").events[-1].name == "request.finished"


def test_exceptions_that_change_at_run_time_are_worked_out_anew() -> None:
    table = Table({"rule": "waf.942", **WHY})
    events: list[Any] = []
    app = Small(hello, overrides=table, clock=FakeClock(), emit=events.append)

    assert run(app, environ(target=SQL)).status == 200
    table.entries = Table({"rule": "waf.941", **WHY}).entries
    assert run(app, environ(target=SQL)).status == 403


def test_a_match_is_one_event() -> None:
    assert judge(environ(target="/?q=<script")).rules("rule.matched", "rule.logged") == ["941"]


def test_an_exception_of_a_parameter_covers_what_is_about_nothing_else() -> None:
    exemption = Exemption.parse({"rule": "waf.942", "parameter": "ARGS:q", **WHY})
    request = Request(environ(), Settings())

    def covered(*parameters: str) -> bool:
        return exemption.covers(Finding("waf.942", BLOCKED, "why", parameters=parameters), request, 0.0)

    assert covered("ARGS:q")
    assert not covered("ARGS:q", "ARGS:r")
    assert not covered()


PARAMETERS: dict[str, tuple[str, str, bool]] = {
    "a name": ("ARGS:prompt", "ARGS:prompt", True),
    "other case": ("ARGS:Prompt", "ARGS:pRompt", True),
    "another name": ("ARGS:prompt", "ARGS:prompts", False),
    "another collection": ("ARGS:prompt", "ARGS_NAMES:prompt", False),
    "a pattern": ("ARGS:json.messages.*.content", "ARGS:json.messages.array_0.content", True),
    "a name with a colon": ("ARGS:a:b", "ARGS:a:b", True),
    "the whole collection": ("REQUEST_BODY", "REQUEST_BODY", True),
    "a name across lines": ("ARGS:a*", "ARGS:a\nb", True),
    "brackets": ("ARGS:user[name]", "ARGS:user[name]", True),
    "brackets that are no set": ("ARGS:user[name]", "ARGS:usern", False),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_a_parameter_covers(name: str) -> None:
    assert len(PARAMETERS) == 10
    text, found, covered = PARAMETERS[name]

    assert Parameter.parse(text).covers(found) is covered


@pytest.mark.parametrize("text", ["ARGS:", ":x", "ARGS prompt", "1", "ARGS:" + "x" * 201, "ä:x"])
def test_what_is_no_parameter(text: str) -> None:
    with pytest.raises(Wanted, match="a parameter such as"):
        Exemption.parse({"rule": "waf.942", "parameter": text, **WHY})


def test_rules_that_know_no_parameters_take_none() -> None:
    exception = {"rule": "protocol.method", "parameter": "ARGS:x", **WHY}

    with pytest.raises(ConfigError, match="names a parameter, and the rules of protocol know none"):
        read_plan({"EXCEPTIONS": [exception]})


def test_an_unknown_collection_is_an_error_that_names_the_nearest() -> None:
    exception = {"rule": "waf.942", "parameter": "ARG:x", **WHY}

    with pytest.raises(ConfigError, match=r"EXCEPTIONS: names a parameter that rules cannot see; did you mean ARGS\?"):
        judge(environ(), settings={"EXCEPTIONS": [exception]}, config={})


def test_long_names_are_held_against_an_exception_and_not_kept() -> None:
    exemption = Exemption.parse({"rule": "waf.942", "parameter": "REQUEST_COOKIES:q*", **WHY})
    excepted = Small(hello)._excepted(exemption)
    assert excepted is not None
    assert excepted.target is not None
    excludes = excepted.target[2]

    tracemalloc.start()
    assert all(excludes(b"q%d" % number + b"a" * 50_000) for number in range(20))
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 500_000
