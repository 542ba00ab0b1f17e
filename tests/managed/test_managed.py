"""The managed layer with a rule set of our own that is built as the Core Rule Set is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Managed, guard
from bsguard.core.errors import ConfigError, StateUnusable
from bsguard.managed import config as config_module
from bsguard.managed.install import install_folder
from bsguard.standard import read_plan
from bsguard.testing import FakeClock, environ, run
from tests.managed.crs_like import a_rule_set
from tests.managed.support import Table, hello, judge

if TYPE_CHECKING:
    from pathlib import Path

SQL = "/search?q=union+select"
XSS = "/search?q=<script"
SCANNER = {"User-Agent": "nikto"}
WHY = {"comment": "the search of the old shop"}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder as CRS 4 is laid out."""
    return a_rule_set(tmp_path / "crs")


def managed(request: dict[str, Any], rules: Path, *, app: Any = None, **config: Any) -> Any:
    common = {key: config.pop(key) for key in ("mode", "settings", "overrides") if key in config}
    return judge(request, layer=Managed, config={"CRS_DIR": rules, **config}, app=app, **common)


def test_a_request_over_the_threshold_is_refused_with_the_score_and_its_makers(rules: Path) -> None:
    seen = managed(environ(target=SQL), rules)

    assert seen.status == 403
    assert "BSE1401" in seen.code
    assert seen.denied == ["949110"]
    scored = seen.one("anomaly.scored")
    assert (scored.score, scored.threshold, scored.rules) == (5, 5, ("managed.942100 +5",))
    assert seen.one("request.denied").reason == "Inbound Anomaly Score Exceeded (Total Score: 5)"


def test_monitoring_says_what_it_would_refuse(rules: Path) -> None:
    seen = managed(environ(target=SQL), rules, mode="monitor")

    assert (seen.status, seen.denied, seen.rules("request.would_be_denied")) == (200, [], ["949110"])
    assert seen.one("anomaly.scored").action == "would_deny"


# (settings, request, refused by, matched)
TUNED: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], list[str]]] = {
    "the defaults of the rules": ({}, {"target": XSS}, [], ["941100"]),
    "a lower threshold": ({"INBOUND_THRESHOLD": 3}, {"target": XSS}, ["949110"], ["941100", "949110"]),
    "a higher threshold": ({"INBOUND_THRESHOLD": 6}, {"target": SQL}, [], ["942100"]),
    "level 1 does not run what is of level 2": ({}, {"target": "/?q=select"}, [], []),
    "level 2 runs it": ({"PARANOIA_LEVEL": 2}, {"target": "/?q=select"}, ["949110"], ["942200", "949110"]),
    "detection at 2 reports and does not count": (
        {"DETECTION_PARANOIA_LEVEL": 2},
        {"target": "/?q=select"},
        [],
        ["942200"],
    ),
    "what does not count is not listed": (
        {"DETECTION_PARANOIA_LEVEL": 2},
        {"target": SQL},
        ["949110"],
        ["942100", "942200", "949110"],
    ),
    "late blocking": ({}, {"headers": SCANNER}, ["949110"], ["913100", "949110"]),
    "early blocking": ({"EARLY_BLOCKING": True}, {"headers": SCANNER}, ["949111"], ["913100", "949111"]),
    "a method of the list": ({"ALLOWED_METHODS": ["DELETE"]}, {"method": "DELETE"}, [], []),
    "a method beyond the list": ({"ALLOWED_METHODS": ["DELETE"]}, {"method": "POST"}, ["949110"], ["911100", "949110"]),
    "a media type of the list": (
        {"ALLOWED_CONTENT_TYPES": ["image/png", "text/csv"]},
        {"method": "POST", "headers": {"Content-Type": "text/csv"}},
        [],
        [],
    ),
    "a media type beyond the list": (
        {"ALLOWED_CONTENT_TYPES": ["image/png"]},
        {"method": "POST", "headers": {"Content-Type": "text/csv"}},
        ["949110"],
        ["920420", "949110"],
    ),
    "a rule off": ({"RULE_MODES": {"managed.942100": "off"}}, {"target": SQL}, [], []),
    "a rule monitored": ({"RULE_MODES": {"managed.942100": "monitor"}}, {"target": SQL}, [], ["942100"]),
    "the rule that refuses, monitored": (
        {"RULE_MODES": {"managed.949110": "monitor"}},
        {"target": SQL},
        [],
        ["942100", "949110"],
    ),
}


@pytest.mark.parametrize("name", TUNED)
def test_settings_tune_the_rule_set(name: str, rules: Path) -> None:
    assert len(TUNED) == 16
    settings, request, denied, matched = TUNED[name]

    seen = managed(environ(**request), rules, **settings)

    assert (seen.denied, seen.matched, seen.status) == (denied, matched, 403 if denied else 200)
    if name == "what does not count is not listed":
        assert seen.one("anomaly.scored").rules == ("managed.942100 +5",)


def test_early_blocking_reads_no_body(rules: Path) -> None:
    request = environ("POST", "/", headers=SCANNER, body=b"x")
    stream = request["wsgi.input"]

    assert managed(request, rules, EARLY_BLOCKING=True).status == 403
    assert stream.tell() == 0


def test_the_operator_s_own_set_up_is_honoured_and_settings_overrule_it(rules: Path, tmp_path: Path) -> None:
    own = '\nSecAction "id:900110,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=50"'
    example = (rules / "crs-setup.conf.example").read_text()
    assert managed(environ(target=SQL), rules).status == 403

    (rules / "crs-setup.conf").write_text(example + own)
    assert managed(environ(target=SQL), rules).status == 200
    assert managed(environ(target=SQL), rules, INBOUND_THRESHOLD=5).status == 403

    elsewhere = tmp_path / "elsewhere.conf"
    elsewhere.write_text(example)
    assert managed(environ(target=SQL), rules, CRS_SETUP=elsewhere).status == 403


def test_a_rule_set_without_any_set_up_works(rules: Path) -> None:
    (rules / "crs-setup.conf.example").unlink()

    assert managed(environ(target=SQL), rules).denied == ["949110"]


EXCLUDED: dict[str, tuple[str, str]] = {
    "a rule for good": ("EXCLUSIONS_AFTER", "SecRuleRemoveById 942100"),
    "rules by tag": ("EXCLUSIONS_AFTER", "SecRuleRemoveByTag attack-sqli"),
    "a target for good": ("EXCLUSIONS_AFTER", 'SecRuleUpdateTargetById 942100 "!ARGS:q"'),
    "a rule on a path": (
        "EXCLUSIONS_BEFORE",
        'SecRule REQUEST_FILENAME "@beginsWith /search" "id:1000,phase:1,pass,nolog,ctl:ruleRemoveById=942100"',
    ),
    "a target on a path": (
        "EXCLUSIONS_BEFORE",
        'SecRule REQUEST_FILENAME "@beginsWith /search" "id:1000,phase:1,pass,nolog,'
        'ctl:ruleRemoveTargetById=942100;ARGS:q"',
    ),
    "everything for an address": (
        "EXCLUSIONS_BEFORE",
        'SecRule REMOTE_ADDR "@ipMatch 127.0.0.1" "id:1000,phase:1,pass,nolog,ctl:ruleEngine=Off"',
    ),
}


@pytest.mark.parametrize("name", EXCLUDED)
def test_exclusion_files_work_as_with_crs(name: str, rules: Path, tmp_path: Path) -> None:
    assert len(EXCLUDED) == 6
    key, text = EXCLUDED[name]
    path = tmp_path / "own [1].conf"
    path.write_text(text)

    assert managed(environ(target=SQL), rules).status == 403
    assert managed(environ(target=SQL), rules, **{key: [str(path)]}).status == 200


def test_plugins_run_before_and_after(rules: Path, tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "a-config.conf").write_text('SecAction "id:9500010,phase:1,pass,nolog,setvar:tx.a_on=1"')
    (plugins / "a-before.conf").write_text(
        'SecRule TX:a_on "@eq 1" "id:9500100,phase:1,pass,nolog,ctl:ruleRemoveById=942100"'
    )
    (plugins / "a-after.conf").write_text('SecRule ARGS:q "@contains union" "id:9500200,phase:2,deny,msg:\'Union\'"')

    seen = managed(environ(target=SQL), rules, PLUGINS_DIR=plugins)

    assert seen.denied == ["9500200"]


# --- exceptions of ours ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope",
    [
        {"rule": "managed.942100"},
        {"rule": "managed.942*"},
        {"tag": "attack-sqli"},
        {"rule": "managed.942100", "parameter": "ARGS:q"},
        {"rule": "managed.942100", "path": "/search", "method": "GET", "addresses": ["127.0.0.1"]},
    ],
    ids=lambda scope: "+".join(scope),
)
def test_exceptions_act_before_scoring_in_the_whole_guard(scope: dict[str, Any], rules: Path, tmp_path: Path) -> None:
    events: list[Any] = []
    config = {
        "MODE": "enforce",
        "LAYERS": ["managed"],
        "STATE_DIR": tmp_path / "state",
        "MANAGED_CRS_DIR": rules,
        "EVENTS_STORED": False,
    }
    plain = guard(hello, config)
    excepted = guard(hello, config | {"EXCEPTIONS": [scope | WHY]}, emit=events.append, clock=FakeClock())

    assert run(plain, environ(target=SQL)).status == 403
    assert run(excepted, environ(target=SQL)).status == 200
    assert [event.rule for event in events if event.name == "rule.excepted"] == ["managed.942100"]


def test_an_exception_at_run_time_is_felt_by_the_next_request(rules: Path) -> None:
    table = Table()
    app = Managed(hello, {"CRS_DIR": rules}, overrides=table)

    assert run(app, environ(target=SQL)).status == 403
    table.entries = Table({"rule": "managed.942100", **WHY}).entries
    assert run(app, environ(target=SQL)).status == 200
    table.entries = ()
    assert run(app, environ(target=SQL)).status == 403


def test_an_exception_that_names_no_rule_of_the_set_is_an_error_where_the_set_is_in_use(rules: Path) -> None:
    exceptions = [{"rule": "managed.942101", **WHY}]

    with pytest.raises(ConfigError, match=r"names a rule that does not exist; did you mean managed\.942100\?"):
        read_plan({"MANAGED_CRS_DIR": rules, "EXCEPTIONS": exceptions})
    assert read_plan({"EXCEPTIONS": exceptions}).settings.exceptions


# --- answers --------------------------------------------------------------------------------------------------------


def leaking(body: bytes, *headers: tuple[str, str]) -> Any:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), *headers])
        return [body[:5], body[5:]]

    return app


LEAK = b"<html>ORA-00933: SQL command not properly ended</html>"

# (settings, application, rules and actions reported)
ANSWERS: dict[str, tuple[dict[str, Any], Any, list[tuple[str, str]]]] = {
    "not wanted": ({}, leaking(LEAK), []),
    "wanted": ({"RESPONSE": True}, leaking(LEAK), [("951100", "logged"), ("959100", "over_threshold")]),
    "a header": ({"RESPONSE": True}, leaking(b"hello", ("X-Debug", "1")), [("950100", "logged")]),
    "nothing bad": ({"RESPONSE": True}, leaking(b"hello"), []),
    "longer than is looked at": ({"RESPONSE": True, "RESPONSE_BYTES_MAX": 1024}, leaking(LEAK + b" " * 1024), []),
    "compressed": ({"RESPONSE": True}, leaking(LEAK, ("Content-Encoding", "gzip")), []),
    "a higher threshold": ({"RESPONSE": True, "OUTBOUND_THRESHOLD": 9}, leaking(LEAK), [("951100", "logged")]),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_looked_at_and_never_changed(name: str, rules: Path) -> None:
    assert len(ANSWERS) == 7
    settings, app, reported = ANSWERS[name]

    seen = managed(environ(), rules, app=app, **settings)

    assert seen.status == 200
    found = [event for event in seen.events if event.name == "response.matched"]
    assert [(event.rule.removeprefix("managed."), event.action) for event in found] == reported
    assert "ORA-" not in repr(seen.events)


def test_an_exception_to_a_rule_about_answers_is_reported(rules: Path) -> None:
    settings = {"EXCEPTIONS": [{"rule": "managed.951100", **WHY}]}
    seen = managed(environ(), rules, app=leaking(LEAK), RESPONSE=True, settings=settings)

    assert [event.action for event in seen.events if event.name == "response.matched"] == ["excepted"]


# --- settings that cannot be used -----------------------------------------------------------------------------------

# (settings, what the error says)
UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "nothing installed": ({"CRS": True}, "E005 MANAGED_CRS: no rule set is installed; run flask bsguard crs install"),
    "a folder without rules": ({"CRS_DIR": "."}, "E005 MANAGED_CRS_DIR: . holds no rule files"),
    "a set-up file that is not there": ({"CRS_SETUP": "/none.conf"}, "/none.conf cannot be read"),
    "an exclusion file that is not there": ({"EXCLUSIONS_AFTER": ["/none.conf"]}, "/none.conf cannot be read"),
    "a plugin folder that is not there": ({"PLUGINS_DIR": "/none"}, "E005 MANAGED_PLUGINS_DIR: /none is no folder"),
    "a level that is none": ({"PARANOIA_LEVEL": 5}, "MANAGED_PARANOIA_LEVEL: wanted a whole number from 1 to 4"),
    "a method that is none": ({"ALLOWED_METHODS": ["get"]}, "a list of methods (item 1: wanted a method in capitals)"),
    "a media type that is none": ({"ALLOWED_CONTENT_TYPES": ["a'b"]}, "wanted a media type such as image/png"),
    "detection below blocking": (
        {"PARANOIA_LEVEL": 3, "DETECTION_PARANOIA_LEVEL": 2},
        "E003 MANAGED_DETECTION_PARANOIA_LEVEL: must not be below MANAGED_PARANOIA_LEVEL",
    ),
    "a mode of a rule of another layer": ({"RULE_MODES": {"protocol.x": "off"}}, "rule ids of this layer"),
    "a mode of a rule that is not there": (
        {"RULE_MODES": {"managed.7": "off"}},
        "E003 MANAGED_RULE_MODES: names a rule",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_settings_that_cannot_be_used(name: str, rules: Path, tmp_path: Path) -> None:
    assert len(UNUSABLE) == 11
    settings, words = UNUSABLE[name]
    given = settings if {"CRS", "CRS_DIR"} & set(settings) else settings | {"CRS_DIR": rules}
    values = {f"MANAGED_{key}": value for key, value in given.items()}

    with pytest.raises(ConfigError, match=re.escape(words)):
        read_plan({"STATE_DIR": tmp_path / "state", **values})


def test_all_mistakes_in_all_rule_files_come_in_one_error(rules: Path, tmp_path: Path) -> None:
    one, two = rules / "rules" / "REQUEST-990-ONE.conf", tmp_path / "two.conf"
    one.write_text('SecRule ARGS "@rx (" "id:1,phase:2,deny"\n\nSecRule ARGZ "@rx a" "id:2,phase:2,deny"\n')
    two.write_text("SecRuleRemoveByld 942100\n")

    with pytest.raises(ConfigError) as caught:
        Managed(hello, {"CRS_DIR": rules, "EXCLUSIONS_AFTER": [two]})

    assert len(caught.value.problems) == 3
    said = str(caught.value)
    assert f"{one}:1:" in said
    assert f"{one}:3:" in said
    assert f"{two}:1:1: there is no directive SecRuleRemoveByld; did you mean SecRuleRemoveById?" in said


def test_rule_files_that_switch_the_engine_off_are_an_error(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.conf"
    path.write_text("SecRuleEngine DetectionOnly")

    with pytest.raises(
        ConfigError, match="the rule files say SecRuleEngine DetectionOnly, so nothing would be refused"
    ):
        Managed(hello, {"CRS_DIR": rules, "EXCLUSIONS_BEFORE": [path]})


def test_a_set_up_that_the_rule_set_refuses_is_an_error_and_no_refusal_of_everything(rules: Path) -> None:
    (rules / "crs-setup.conf").write_text("# nothing")

    with pytest.raises(
        ConfigError, match="the rule set refuses every request as it is set up, by rule 901001: No set-up"
    ):
        Managed(hello, {"CRS_DIR": rules})


def test_the_slow_tier_alone_has_to_be_asked_for(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_module, "available", lambda: "re")

    with pytest.raises(ConfigError, match=r"pip install google-re2, or set MANAGED ALLOW_SLOW_TIER to accept that"):
        Managed(hello, {"CRS_DIR": rules})
    assert Managed(hello, {"CRS_DIR": rules, "ALLOW_SLOW_TIER": True}).rule_set


def test_an_application_that_is_left_alone_needs_no_rule_set(rules: Path) -> None:
    for settings in ({"ENABLED": False}, {"MODE": "off"}, {"MANAGED_MODE": "off"}, {"LAYERS": ["tenant"]}):
        guarded = guard(hello, {"MANAGED_CRS": True, **settings})
        assert run(guarded, environ(target=SQL)).status == 200


def test_a_state_directory_that_cannot_be_written_is_still_read(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    install_folder(state, rules, "2026-11-28T00:00:00+00:00")

    def unusable(*_: object) -> None:
        raise StateUnusable("a read-only file system")

    monkeypatch.setattr("bsguard.stores.folder.open_folder", unusable)
    config = {"MODE": "enforce", "LAYERS": ["managed"], "MANAGED_CRS": True, "STATE_DIR": state}

    assert run(guard(hello, config), environ(target=SQL)).status == 403


def test_a_rule_file_by_any_name_is_read(rules: Path) -> None:
    (rules / "rules" / "own.conf").write_text('SecRule ARGS "@streq x" "id:1,phase:2,deny,msg:\'X\'"')

    assert managed(environ(target="/?q=x"), rules).denied == ["1"]


def test_it_is_idle_without_a_rule_set(tmp_path: Path, rules: Path) -> None:
    assert "managed" not in read_plan({}).used
    assert "managed" not in read_plan({"MANAGED_CRS": False, "MANAGED_CRS_DIR": rules}).used
    assert "managed" in read_plan({"MANAGED_CRS_DIR": rules}).used
    assert judge(environ(target=SQL), layer=Managed).status == 200
