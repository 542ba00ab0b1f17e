"""What a page, a message or a comment names exists: settings, codes, rules, events, commands, limits."""

from __future__ import annotations

import dataclasses
import json
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
import pytest

from bsguard.cli import group
from bsguard.core.codes import CODES
from bsguard.core.config import PROBLEMS
from bsguard.core.events import EVENTS
from bsguard.core.request import Request
from bsguard.core.respond import refusal
from bsguard.core.settings import Settings
from bsguard.testing import environ
from tests.meta.support import (
    DOCS,
    GENERATED,
    PACKAGE,
    ROOT,
    RULES,
    SETTINGS,
    code_words,
    name_of,
    pages,
    samples,
    sources,
    tables,
)

if TYPE_CHECKING:
    from pathlib import Path

# A name that is cut with "<", "*" or "…" stands for many, such as BSGUARD_<LAYER>_MODE.
_SETTING = re.compile(r"\bBSGUARD_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_]*[<*…{])")
_CODE = re.compile(r"\bBSE\d{4}\b")
_PROBLEM = re.compile(r"\bbsguard\.E\d{3}\b")
_LAYER_RULE = re.compile(r"(?<![\w.])(?:protocol|contract|tenant)\.[a-z][a-z0-9*-]*(?:\.[a-z0-9*-]+)*")
_ANY_RULE = re.compile(r"(?:body|guard)\.[a-z-]+")
_EVENT = re.compile(r"(?:request|rule|headers|layer|server|proxy|state|endpoint|operation)\.[a-z_]+")

PAGES = {name_of(page): page for page in pages()}
WRITTEN_BY_HAND = {name: page for name, page in PAGES.items() if page.parent != GENERATED}
TEXTS = PAGES | {f"bsguard/{path.relative_to(PACKAGE).as_posix()}": path for path in sources()}

GROUPS = {name for name, one in group.commands.items() if isinstance(one, click.Group)}
COMMANDS = {f"{name} {sub}" for name, one in group.commands.items() for sub in getattr(one, "commands", {})}
COMMANDS |= set(group.commands) - GROUPS

# Attributes of Flask's request, which look like names of events.
FLASK_REQUEST = {"request.remote_addr"}


def mentioned(pattern: re.Pattern[str], text: str) -> set[str]:
    return set(pattern.findall(text))


@pytest.mark.parametrize("path", TEXTS.values(), ids=TEXTS)
def test_settings_that_are_mentioned_exist(path: Path) -> None:
    assert mentioned(_SETTING, path.read_text(encoding="utf-8")) - set(SETTINGS) == set()


@pytest.mark.parametrize("path", TEXTS.values(), ids=TEXTS)
def test_codes_and_problems_that_are_mentioned_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert mentioned(_CODE, text) - {code.id for code in CODES} == set()
    assert mentioned(_PROBLEM, text) - set(PROBLEMS) == set()


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_rules_that_are_mentioned_exist(path: Path) -> None:
    words = set(code_words(path))
    text = path.read_text(encoding="utf-8")
    named = {word for word in words if _LAYER_RULE.fullmatch(word) or _ANY_RULE.fullmatch(word)}
    named |= set(re.findall(rf"rule=['\"]?({_LAYER_RULE.pattern}|{_ANY_RULE.pattern})", text))
    named |= {rule for one in samples(path) for rule in re.findall(rf"\"({_LAYER_RULE.pattern})\"", one.text)}
    unknown = {
        name for name in named if not any(re.fullmatch(re.escape(name).replace(r"\*", ".+"), rule) for rule in RULES)
    }

    assert unknown == set()


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_events_that_are_mentioned_exist(path: Path) -> None:
    named = {word for word in code_words(path) if _EVENT.fullmatch(word)}
    unknown = named - {event.name for event in EVENTS}

    # `request.…` may also be an attribute of the request that layers and views are given.
    assert {name for name in unknown if not hasattr(Request, name.removeprefix("request."))} <= FLASK_REQUEST


def test_the_patterns_find_what_they_are_made_for() -> None:
    text = "`BSGUARD_MODE`, BSGUARD_<LAYER>_MODE, `BSGUARD_PROTOCOL_<NAME>`, BSGUARD_*, BSE1001, bsguard.E001"
    found = [word for page in WRITTEN_BY_HAND.values() for word in mentioned(_SETTING, page.read_text())]
    rules = {word for page in WRITTEN_BY_HAND.values() for word in code_words(page) if _LAYER_RULE.fullmatch(word)}

    assert mentioned(_SETTING, text) == {"BSGUARD_MODE"}
    assert mentioned(_CODE, text) == {"BSE1001"}
    assert mentioned(_PROBLEM, text) == {"bsguard.E001"}
    assert _LAYER_RULE.fullmatch("protocol.json.*")
    assert len(found) > 60
    assert len(rules) > 10


def test_the_answers_on_the_pages_are_those_that_are_given() -> None:
    codes = {code.id: code for code in CODES}
    compared = 0
    for page in WRITTEN_BY_HAND.values():
        for sample in samples(page):
            for document in documents(sample.text):
                code = codes.get(document.get("code") or document.get("error", {}).get("code"))
                if code is None or "event" in document:
                    continue
                accept = "application/problem+json" if "instance" in document else "application/json"
                request, _ = Request.of(environ(headers={"Accept": accept}), Settings())
                request.shared.id = document.get("request_id") or document["instance"].rpartition(":")[2]
                compared += 1

                details = tuple(tuple(one.items()) for one in document.get("error", {}).get("details", ()))
                assert document == json.loads(refusal(request, code, (), details)[2]), f"{sample}"

    assert compared >= 4


def test_the_events_on_the_pages_have_the_facts_that_they_have() -> None:
    kinds = {event.name: {field.name for field in dataclasses.fields(event)} for event in EVENTS}
    compared = 0
    for page in WRITTEN_BY_HAND.values():
        for sample in samples(page):
            for document in documents(sample.text):
                if "event" in document:
                    compared += 1

                    assert set(document) - {"event", "level", "logger", "id"} == kinds[document["event"]], f"{sample}"

    assert compared >= 1


def documents(text: str) -> list[dict[str, Any]]:
    """The JSON objects in *text*, each beginning on a line of its own."""
    found, decoder = [], json.JSONDecoder()
    for start in re.finditer(r"^\{", text, re.MULTILINE):
        try:
            document, _ = decoder.raw_decode(text, start.start())
        except ValueError:
            continue
        found.append(document)
    return found


def verbs() -> set[str]:
    """The verbs of ./run, as its code has them."""
    table = re.search(r"verbs = \{(.+?)\}", (ROOT / "run").read_text(encoding="utf-8"), re.DOTALL)
    assert table is not None
    return set(re.findall(r"\"(\w*)\":", table[1]))


def test_every_verb_of_run_is_told_by_its_help_and_by_the_contributors_page() -> None:
    told = (ROOT / "run").read_text(encoding="utf-8").split('"""')[1]
    contributing = code_words(DOCS / "contributing.md")

    assert len(verbs()) >= 6
    for verb in verbs():
        command = f"./run {verb}".strip()
        assert re.search(rf"^    {re.escape(command)}\s", told, re.MULTILINE), command
        assert command in contributing


def test_verbs_of_run_that_are_mentioned_exist() -> None:
    named = [verb for page in PAGES.values() for verb in re.findall(r"\./run ([a-z]+)", page.read_text())]

    assert set(named) - verbs() == set()
    assert len(named) >= 6


def test_commands_of_the_command_line_that_are_mentioned_exist() -> None:
    named = []
    for page in PAGES.values():
        pattern = r"(?:flask bsguard|bsguard --config \S+) ([a-z]+)(?: ([a-z]+))?"
        for first, second in re.findall(pattern, page.read_text(encoding="utf-8")):
            named.append(f"{first} {second}" if first in GROUPS and second else first)

    assert set(named) - COMMANDS - GROUPS == set()
    assert {"check", "events list", "events show"} <= set(named)


def test_limits_are_the_numbers_of_the_code() -> None:
    settings, fixed, contract = tables(DOCS / "limits.md")[:3]

    assert len(settings) >= 8
    for row in settings:
        assert f"{SETTINGS[row[0].strip('`')].default:,}" == row[1], row[0]
    assert len(fixed) >= 7
    for row in fixed + contract:
        module, _, name = row[3].strip("`").rpartition(".")
        assert f"{round(getattr(import_module(module), name)):,}" == row[1], row[3]


def test_every_setting_that_limits_something_is_on_the_limits_page() -> None:
    bounded = {name for name in SETTINGS if name.endswith(("_MAX", "_MIN"))}

    assert bounded - {row[0].strip("`") for row in tables(DOCS / "limits.md")[0]} == set()
    assert len(bounded) >= 8


def test_every_folder_of_tests_is_on_the_contributors_page() -> None:
    folders = {
        f"tests/{path.name}" for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "_."
    }

    assert folders - set(code_words(DOCS / "contributing.md")) == set()


def test_every_part_of_the_package_is_on_the_contributors_page() -> None:
    parts = {f"bsguard/{path.name}" for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] not in "_."}

    assert parts - set(code_words(DOCS / "contributing.md")) == set()
