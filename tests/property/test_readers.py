"""Readers of settings: any value is read or wanted otherwise, and what was read can be used."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsguard import ConfigError, Protocol, Tenant
from bsguard.core.config import Wanted, info_of, settings_of
from bsguard.core.exemptions import Exemption
from bsguard.core.settings import Settings
from bsguard.observe.config import EventsConfig
from bsguard.protocol.rules import RULES
from bsguard.standard import LAYERS, layer_class, read_plan
from bsguard.testing import environ, run
from tests.property.support import app, joined, looks, native

GROUPS = {"": Settings, "EVENTS_": EventsConfig}
GROUPS |= {f"{name.upper()}_": layer_class(name).config_class for name in LAYERS}
READERS = {prefix + key: info_of(one).read for prefix, cls in GROUPS.items() for key, one in settings_of(cls).items()}

texts = (
    native(12)
    | st.text(max_size=6)
    | st.sampled_from(
        [
            "/v1/{id}",
            "5/minute",
            "1 per 2 hours; 3/day",
            "10.0.0.0/8",
            "unix",
            "enforce",
            "protocol.*",
            "2027-01-01",
            "api",
            "GET",
            "*",
            "x" * 16,
        ]
    )
    | joined("10.0.0.0/8", ",", "/", "*", "**", "GET", "a/b", "https://a.test", "\udcff", "\0", " ", max_size=4)
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes()
)
keys = st.sampled_from(
    [
        "name",
        "key",
        "rate",
        "concurrency",
        "cost",
        "kind",
        "hosts",
        "prefixes",
        "rule",
        "tag",
        "path",
        "method",
        "addresses",
        "comment",
        "expires",
        *RULES,
    ]
)
values = st.recursive(
    leaves | st.just(object()) | st.just(Path("x")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys | texts, inner, max_size=4)
        | st.tuples(inner)
        | st.frozensets(leaves, max_size=2)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("key", READERS)
def test_any_value_is_read_or_wanted_otherwise(key: str) -> None:
    read = READERS[key]

    @looks(20)
    @given(values)
    def look(value: Any) -> None:
        try:
            found = read(value)
        except Wanted as wanted:
            said = str(wanted)
        else:
            hash(found)
            assert read(value) == found
            return
        assert said.isprintable()

    look()


def test_every_setting_has_a_reader() -> None:
    assert len(READERS) == 117


exemptions = st.fixed_dictionaries(
    {"comment": st.just("why") | texts},
    optional={
        "rule": st.sampled_from(["protocol.method", "protocol.*", "", "*"]) | texts,
        "tag": texts,
        "path": st.just("/a") | texts | st.none(),
        "method": st.just("GET") | texts | st.integers(),
        "addresses": st.just(["127.0.0.0/8"]) | texts | st.lists(texts | st.integers(), max_size=2) | st.integers(),
        "expires": st.dates() | st.datetimes() | st.times() | texts | st.floats() | st.none(),
    },
)


@looks(80)
@given(exemptions | values)
def test_any_exception_is_read_or_wanted_otherwise_and_then_holds_or_not(item: Any) -> None:
    try:
        exemption = Exemption.parse(item)
    except Wanted:
        return

    assert exemption.comment.strip()
    assert bool(exemption.rule) is not bool(exemption.tag)
    assert isinstance(exemption.expires, (float, type(None)))
    layer = Protocol(app, settings={"EXCEPTIONS": [item]})
    assert run(layer, environ("TRACE")).status in (200, 405)


@looks(40)
@given(st.dictionaries(st.sampled_from(sorted(READERS)) | texts, values | texts, max_size=4))
def test_any_mapping_is_a_plan_or_one_error_with_a_problem_for_each_bad_key(config: dict[str, Any]) -> None:
    try:
        plan = read_plan(config, prefix="BSGUARD_")
    except ConfigError as error:
        problems = error.problems
    else:
        assert set(config) <= set(READERS)
        layers = Protocol(Tenant(app, plan.layers["tenant"], settings=plan.settings), plan.layers["protocol"])  # type: ignore[arg-type]
        assert run(layers, environ()).status < 500
        return

    assert problems
    assert {one.key for one in problems} >= {f"BSGUARD_{key}" for key in config if key not in READERS}
    assert {one.id for one in problems} <= {"bsguard.E001", "bsguard.E002", "bsguard.E003"}


@looks(40)
@given(st.dictionaries(st.sampled_from(sorted(READERS)), leaves | texts, max_size=5))
def test_a_plan_is_the_same_from_a_file_as_from_python(config: dict[str, Any]) -> None:
    try:
        again = json.loads(json.dumps(config))
    except (TypeError, ValueError):
        return
    found = []
    for one in (config, again):
        try:
            found.append(repr(read_plan(one)))
        except ConfigError as error:
            found.append(str(error))

    assert found[0] == found[1]


@looks(40)
@given(st.datetimes(timezones=st.timezones() | st.none()) | st.dates())
def test_any_moment_of_an_exception_is_in_seconds_of_utc(moment: datetime.datetime | datetime.date) -> None:
    as_object = Exemption.parse({"rule": "a.b", "comment": "why", "expires": moment})
    as_text = Exemption.parse({"rule": "a.b", "comment": "why", "expires": moment.isoformat()})
    if isinstance(moment, datetime.datetime):
        oracle = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    else:
        oracle = datetime.datetime(moment.year, moment.month, moment.day, tzinfo=datetime.UTC)

    assert as_object.expires == oracle.timestamp()
    assert as_text.expires is not None
    assert abs(as_text.expires - oracle.timestamp()) < 86_400 * 2
