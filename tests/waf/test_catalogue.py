"""The rule files themselves: ids, tags, severities, comments, and a gate for every rule."""

from __future__ import annotations

from bsguard.seclang.operators import OPERATORS
from bsguard.waf.catalogue import FOLDER, OWN_IDS_MIN, entries, program, reported
from bsguard.waf.profiles import PROFILES

_ENTRIES = entries(program().rules)


def test_every_rule_says_what_it_is_about() -> None:
    assert len(_ENTRIES) == 85
    for entry in _ENTRIES:
        rule = entry.rule
        assert rule.message
        assert rule.severity is not None
        assert rule.tags, rule.id
        assert set(rule.tags) & set(PROFILES.values()) or entry.file in (
            "109-log",
            "112-deserialisation",
            "113-xml",
            "119-header",
            "120-scanner",
        ), rule.id
        assert rule.disruptive == "deny"
        assert len(entry.comment) > 40 or entry.file == "106-xpath" or rule.id in (103011, 112004, 112005, 113003), (
            rule.id,
            entry.comment,
        )


def test_ids_go_by_file_and_leave_room_for_those_of_operators() -> None:
    for entry in _ENTRIES:
        assert str(entry.rule.id).startswith(entry.file.partition("-")[0])
        assert entry.rule.id < OWN_IDS_MIN
        assert f"id:{entry.rule.id}" in entry.source
    numbers = [rule.id for rule in program().rules]
    assert len(set(numbers)) == len(numbers)


def test_every_rule_reads_values_unwrapped_unless_it_is_about_a_header() -> None:
    for entry in _ENTRIES:
        first = entry.rule.links[0]
        if entry.rule.phase == 2 and entry.rule.id not in (113002, 113003, 117003):
            assert first.transformations == ("unwrap",), entry.rule.id


def test_no_file_is_left_over() -> None:
    assert {entry.file for entry in _ENTRIES} | {"000-settings"} == {path.stem for path in FOLDER.glob("*.conf")}
    assert reported(program().rules)
    assert {"sqlinjection", "scriptinjection"} <= OPERATORS.keys()
