"""Rule files: what is read, and what is said of mistakes. Every mistake has its place and its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bsguard.seclang import RuleError, RuleSet
from bsguard.seclang.parser import load, parse

if TYPE_CHECKING:
    from pathlib import Path

#: Text, line and column of the problem, and words of the message.
MISTAKES = {
    "unknown directive": ("SecRul ARGS x id:1", 1, 1, "did you mean SecRule?"),
    "too few words": ("SecRule ARGS", 1, 1, "takes 2 to 3 words, not 1"),
    "unclosed quote": ('SecRule ARGS "@rx a', 1, 14, "never closed"),
    "text after a quote": ('SecRule ARGS "@rx a"b "id:1"', 1, 20, "a blank must follow"),
    "unknown variable": ('SecRule ARGS|ARGZ "x" "id:1"', 1, 14, "did you mean ARGS?"),
    "no variable": ('SecRule ARGS| "x" "id:1"', 1, 14, "a variable such as ARGS is expected"),
    "key of a scalar": ('SecRule REQUEST_URI:a "x" "id:1"', 1, 20, "takes no key"),
    "empty key": ('SecRule ARGS: "x" "id:1"', 1, 14, "a key is expected"),
    "only exclusions": ('SecRule !ARGS:a "x" "id:1"', 1, 9, "only takes away"),
    "unclosed key pattern": ('SecRule ARGS:/a "x" "id:1"', 1, 14, "never closed with /"),
    "other XPath": ('SecRule XML:/a/b "x" "id:1"', 1, 12, "of XML only"),
    "unknown operator": ('SecRule ARGS "@rxx a" "id:1"', 1, 15, "did you mean @rx?"),
    "broken expression": ('SecRule ARGS "@rx (a" "id:1"', 1, 15, "regular expression"),
    "unclosed class": ('SecRule ARGS "@rx a[b" "id:1"', 1, 15, "the class opened at character 2"),
    "expression nobody has": (r'SecRule ARGS "@rx \p{Lu}" "id:1"', 1, 15, r"\p cannot be used"),
    "missing phrases": ('SecRule ARGS "@pm" "id:1"', 1, 15, "at least one phrase"),
    "missing phrase file": ('SecRule ARGS "@pmFromFile none.data" "id:1"', 1, 15, "none.data cannot be read"),
    "no address": ('SecRule REMOTE_ADDR "@ipMatch 1.2.3" "id:1"', 1, 22, "1.2.3 is no address"),
    "no byte range": ('SecRule ARGS "@validateByteRange 9-300" "id:1"', 1, 15, "no range of bytes"),
    "macro of nothing": ('SecRule ARGS "@streq %{txx.a}" "id:1"', 1, 15, "did you mean TX?"),
    "unknown action": ('SecRule ARGS "x" "id:1,dney"', 1, 24, "did you mean deny?"),
    "program to run": ('SecRule ARGS "x" "id:1,exec:/bin/x"', 1, 24, "never does"),
    "no comma": ('SecRule ARGS "x" "id:1 deny"', 1, 19, "id: a number"),
    "unclosed action quote": ('SecRule ARGS "x" "id:1,msg:\'a"', 1, 28, "never closed"),
    "unknown transformation": ('SecRule ARGS "x" "id:1,t:lower"', 1, 24, "did you mean lowercase?"),
    "unknown control": ('SecRule ARGS "x" "id:1,ctl:ruleRemoveByID2=1"', 1, 24, "did you mean ruleremovebyid?"),
    "control without target": ('SecRule ARGS "x" "id:1,ctl:ruleRemoveTargetById=1"', 1, 24, "which;TARGET"),
    "setvar of nothing": ('SecRule ARGS "x" "id:1,setvar:args.a=1"', 1, 24, "cannot be written"),
    "phase too high": ('SecRule ARGS "x" "id:1,phase:6"', 1, 24, "1 to 5"),
    "no id": ('SecRule ARGS "x" "deny"', 1, 1, "the rule has no id"),
    "id twice": ('SecRule ARGS "x" "id:1"\nSecRule ARGS "y" "id:1"', 2, 1, "taken by the rule at <text>:1:1"),
    "chain without end": ('SecRule ARGS "x" "id:1,chain"', 1, 1, "never ends"),
    "chain into nothing": ('SecRule ARGS "x" "id:1,chain"\nSecMarker A', 2, 1, "a SecRule must follow"),
    "id within a chain": ('SecRule ARGS "x" "id:1,chain"\nSecRule ARGS "y" "id:2"', 2, 19, "first rule of the chain"),
    "nowhere to skip to": ('SecRule ARGS "x" "id:1,skipAfter:END"', 1, 1, "add SecMarker"),
    "default of a default": ('SecDefaultAction "phase:1,block"', 1, 1, "block stands for"),
    "unknown choice": ("SecRuleEngine Maybe", 1, 1, "one of On, Off, DetectionOnly"),
    "ids that are none": ("SecRuleRemoveById 1-x", 1, 1, "ids and ranges"),
    "place on a joined line": ('SecRule ARGS "x" \\\n    "id:1,\\\n     foo:1"', 3, 6, "there is no action foo"),
    "place after an escaped quote": ('SecRule ARGS "\\"x" "id:1,foo"', 1, 26, "there is no action foo"),
    "file that is not there": ("Include nowhere.conf", 1, 1, "nowhere.conf cannot be read"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_placed(name: str) -> None:
    text, line, column, words = MISTAKES[name]
    with pytest.raises(RuleError) as caught:
        parse(text)

    problem = caught.value.problems[0]
    assert words in problem.message
    assert (problem.position.line, problem.position.column) == (line, column), str(problem)


def test_all_mistakes_of_all_files_in_one_report(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text('SecRule ARGZ "@rxx a" "id:1,dney"\nSecRule ARGS "x" "id:2"\n')
    (tmp_path / "b.conf").write_text('SecRule ARGS "x" "id:2"\n')
    with pytest.raises(RuleError) as caught:
        RuleSet.load([tmp_path / "*.conf", tmp_path / "c.conf"])

    assert [(problem.position.file[-6:], problem.position.line) for problem in caught.value.problems] == [
        ("a.conf", 1),
        ("a.conf", 1),
        ("a.conf", 1),
        ("b.conf", 1),
        ("c.conf", 1),
    ]
    assert str(caught.value).startswith("5 problems in the rules:\n")


def test_text_is_read_as_apache_reads_it() -> None:
    program = parse(
        "\ufeff# a comment \\\nSecRule ARGS x id:9\r\n"
        "SecAction \"id:1,msg:'it\\'s, one',\\\r\n   tag:a,tag:'b,c'\"\n"
        "  secrule 'ARGS:a|ARGS:/b\\/c/' '!@streq \"q\\'' id:2,t:lowercase,t:none,t:urlDecode\n"
        'SecRule ARGS "\\d\\"\\\\" "id:3"\n'
    )
    first, second, third = program.rules

    assert (first.message, first.tags) == ("it's, one", ("a", "b,c"))
    assert [str(variable) for variable in second.links[0].variables] == ["ARGS:a", "ARGS:/b/c/"]
    assert str(second.links[0].operator) == "!@streq \"q'"
    assert second.links[0].transformations == ("urldecode",)
    assert str(third.links[0].operator) == '@rx \\d"\\\\'


def test_defaults_belong_to_a_phase() -> None:
    program = parse(
        'SecDefaultAction "phase:1,deny,status:418,nolog,t:lowercase"\n'
        'SecRule ARGS x "id:1,phase:1,block,t:urlDecode"\nSecRule ARGS x "id:2,phase:2,block"\n'
        'SecRule ARGS x "id:3,phase:1,pass,log,t:none"\n'
    )
    one, two, three = program.rules

    assert (one.disruptive, one.status, one.log) == ("deny", 418, False)
    assert one.links[0].transformations == ("lowercase", "urldecode")
    assert (two.disruptive, two.log, two.links[0].transformations) == ("pass", True, ())
    assert (three.disruptive, three.log, three.links[0].transformations) == ("pass", True, ())


CHANGES = {
    "SecRuleRemoveById 1 30-39": {2, 4},
    "SecRuleRemoveByTag sql": {2, 3, 4},
    'SecRuleRemoveByTag "sql.*"': {3, 4},
    'SecRuleRemoveByMsg "Third"': {1, 2, 4},
}


@pytest.mark.parametrize("change", CHANGES)
def test_rules_are_removed(change: str) -> None:
    rules = (
        'SecRule ARGS x "id:1,tag:sql"\nSecRule ARGS x "id:2,tag:sqlite"\n'
        "SecRule ARGS x \"id:3,msg:'Third'\"\nSecRule ARGS x \"id:4,msg:'A Third'\"\n"
    )
    expected = CHANGES[change] - ({3} if "30-39" in change else set())
    left = {rule.id for rule in parse(rules.replace("id:3,", "id:33,") + change).rules}

    assert {3 if one == 33 else one for one in left} == expected


def test_rules_are_updated() -> None:
    program = parse(
        'SecRule ARGS x "id:1,tag:a,deny,t:lowercase,chain"\nSecRule ARGS y "t:lowercase"\n'
        'SecRuleUpdateTargetById 1 "!ARGS:p,!ARGS:/q/"\nSecRuleUpdateTargetByTag a REQUEST_HEADERS:X\n'
        'SecRuleUpdateActionById 1 "pass,t:none,msg:\'new\'"\nSecRuleUpdateActionById 1:1 "t:urlDecode"\n'
        "SecRuleUpdateTargetById 99 !ARGS:p"
    )
    rule = program.rules[0]

    assert [str(variable) for variable in rule.links[0].variables] == [
        "ARGS",
        "!ARGS:p",
        "!ARGS:/q/",
        "REQUEST_HEADERS:X",
    ]
    assert (rule.disruptive, rule.message) == ("pass", "new")
    assert [link.transformations for link in rule.links] == [(), ("urldecode",)]
    assert program.notices == ("<text>:7:1: SecRuleUpdateTargetById 99 concerns no rule before it",)


def test_what_has_no_effect_is_told() -> None:
    program = parse('SecAuditEngine RelevantOnly\nSecRule REMOTE_USER "x" "id:1"')

    assert program.notices == ("SecAuditEngine has no effect here", "<text>:2:1: REMOTE_USER is always empty here")


def test_files_include_files(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "b.conf").write_text('SecRule ARGS "@pmFromFile words" "id:2"')
    (tmp_path / "rules" / "a.conf").write_text('SecAction "id:1"')
    (tmp_path / "rules" / "words").write_bytes(b"# no\nalpha beta\n\n \xff\n")
    (tmp_path / "main.conf").write_text("Include rules/*.conf")
    rules = RuleSet.load([tmp_path / "main.conf"])

    assert [rule.id for rule in rules.program.rules] == [1, 2]
    assert rules.inspect(target="/?q=x+ALPHA+Betax").rule_ids == (1, 2)
    assert rules.inspect(target="/?q=%ff").rule_ids == (1, 2)
    assert rules.inspect(target="/?q=alpha").rule_ids == (1,)


def test_files_that_include_themselves_end(tmp_path: Path) -> None:
    (tmp_path / "loop.conf").write_text("Include loop.conf")
    with pytest.raises(RuleError, match="deeper than 16"):
        load([tmp_path / "loop.conf"])
