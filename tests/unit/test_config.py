"""Settings are read into frozen dataclasses; every problem is collected, and no value is ever repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core import config, readers
from bsguard.core.config import (
    Wanted,
    info_of,
    kind_of,
    nearest,
    read_settings,
    setting,
    settings_of,
    unknown_key,
)
from bsguard.core.errors import BsguardError, ConfigError, Problem
from tests.unit.support import table

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "c4nary7"


@dataclass(frozen=True, kw_only=True)
class Kettle:
    """A config class as a layer has one."""

    litres: int = setting(1, "How much.", readers.whole(1, 3))
    lid_open: bool = setting(False, "Whether.", readers.flag)
    key: str = setting("", "Hidden.", readers.secret_key, secret=True)
    colour: str = "red"  # no setting


def test_settings_are_named_in_capitals_and_other_fields_are_none() -> None:
    assert list(settings_of(Kettle)) == ["LITRES", "LID_OPEN", "KEY"]
    assert info_of(settings_of(Kettle)["KEY"]).secret
    assert not info_of(settings_of(Kettle)["LITRES"]).secret


def test_what_is_given_is_read_and_what_is_not_keeps_its_default() -> None:
    problems: list[Problem] = []

    assert read_settings(Kettle, {"LITRES": "3"}, problems) == Kettle(litres=3)
    assert problems == []


def test_all_problems_are_collected_and_the_faulty_settings_keep_their_defaults() -> None:
    problems: list[Problem] = []
    values = {"LITRES": 4, "LID": True, "LID_OPEN": "ajar", "COLOUR": "blue", "KEY": "x" * 16}
    read = read_settings(Kettle, values, problems, prefix="HOT_")

    assert read == Kettle(key="x" * 16)
    assert [(one.id, one.key) for one in problems] == [
        ("bsguard.E002", "HOT_LITRES"),
        ("bsguard.E001", "HOT_LID"),
        ("bsguard.E002", "HOT_LID_OPEN"),
        ("bsguard.E001", "HOT_COLOUR"),
    ]
    assert problems[0].message == "wanted a whole number from 1 to 3, got an int. How much."
    assert str(problems[2]) == "bsguard.E002 HOT_LID_OPEN: wanted True or False, got a str of length 4. Whether."


def test_an_unknown_key_is_answered_with_the_nearest_one_or_where_to_look() -> None:
    close = unknown_key("METHDOS", ["METHODS", "MODE"], "BSGUARD_PROTOCOL_")
    far = unknown_key("ZEBRA", ["METHODS", "MODE"], "BSGUARD_")

    assert close.key == "BSGUARD_PROTOCOL_METHDOS"
    assert close.message == "no such setting; did you mean BSGUARD_PROTOCOL_METHODS?"
    assert far.message == "no such setting; remove it, or look it up in docs/reference/settings.md"
    assert nearest("PROTOCAL", []) is None


@pytest.mark.parametrize(
    ("value", "words"),
    table(
        11,
        {
            "nothing": (None, "None"),
            "a flag": (True, "a bool"),
            "a number": (5, "an int"),
            "a fraction": (0.5, "a float"),
            "text": (CANARY, "a str of length 7"),
            "bytes": (CANARY.encode(), "a bytes of length 7"),
            "a list": ([CANARY], "a list of length 1"),
            "a tuple": ((), "a tuple of length 0"),
            "a set": ({CANARY}, "a set of length 1"),
            "a mapping": ({CANARY: CANARY}, "a dict of length 1"),
            "an object": (object(), "an object"),
        },
    ),
)
def test_a_wrong_value_is_described_by_its_kind_alone(value: object, words: str) -> None:
    assert kind_of(value) == words


def test_a_config_error_lists_its_problems_and_counts_them() -> None:
    one, two = Problem("bsguard.E001", "A", "no"), Problem("bsguard.E002", "B", "wrong")

    assert str(ConfigError([one])) == "1 problem in the bsguard settings:\n  bsguard.E001 A: no"
    assert str(ConfigError([one, two])).startswith("2 problems in the bsguard settings:\n  bsguard.E001 A: no\n  ")
    assert ConfigError(iter([one, two])).problems == (one, two)
    assert issubclass(ConfigError, BsguardError)


def test_problem_ids_are_stable_and_each_says_what_it_means() -> None:
    assert list(config.PROBLEMS) == [f"bsguard.E00{number}" for number in range(1, 8)]
    assert all(text.endswith(".") for text in config.PROBLEMS.values())


def test_readers_of_their_own_are_used_as_they_are(tmp_path: Path) -> None:
    def even(value: object) -> Any:
        if value != 2:
            raise Wanted("the number two")
        return tmp_path

    @dataclass(frozen=True)
    class Odd:
        two: Any = setting(None, "Two.", even)

    problems: list[Problem] = []

    assert read_settings(Odd, {"TWO": 2}, problems).two is tmp_path
    assert read_settings(Odd, {"TWO": 3}, problems).two is None
    assert [one.message for one in problems] == ["wanted the number two, got an int. Two."]
