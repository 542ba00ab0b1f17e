"""Exceptions: what one must say, and what it covers."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from bsguard.core.config import Wanted
from bsguard.core.exemptions import Exemption
from bsguard.testing import environ
from tests.unit.support import a_finding, request_of, table

NOW = 1_700_000_000.0
WHY = {"comment": "the old importer sends it"}

REFUSED: dict[str, tuple[object, str]] = {
    "no mapping": ("protocol.method", "a mapping"),
    "an unknown key": (WHY | {"rule": "a.b", "until": "2027"}, "only the keys addresses, comment"),
    "neither rule nor tag": (dict(WHY), "either a rule or a tag"),
    "both rule and tag": (WHY | {"rule": "a.b", "tag": "c"}, "either a rule or a tag"),
    "a pattern of all layers": (WHY | {"rule": "*"}, "starts with its layer"),
    "a pattern of all layers in other words": (WHY | {"rule": "?*"}, "starts with its layer"),
    "a pattern of all layers as a class": (WHY | {"rule": "[a-z]*"}, "starts with its layer"),
    "a pattern in capitals": (WHY | {"rule": "PROTOCOL.*"}, "starts with its layer"),
    "a pattern with a space": (WHY | {"rule": "protocol. *"}, "starts with its layer"),
    "a layer without a rule": (WHY | {"rule": "protocol"}, "starts with its layer"),
    "no comment": ({"rule": "a.b"}, "a comment that says why"),
    "an empty comment": ({"rule": "a.b", "comment": " "}, "a comment that says why"),
    "a number for a comment": ({"rule": "a.b", "comment": 1}, "text for rule, tag, parameter, method, comment"),
    "a list of methods": (WHY | {"rule": "a.b", "method": ["GET"]}, "text for rule, tag, parameter, method, comment"),
    "a path without a slash": (WHY | {"rule": "a.b", "path": "legacy"}, "a usable scope"),
    "no path": (WHY | {"rule": "a.b", "path": None}, "a usable scope"),
    "a bad network": (WHY | {"rule": "a.b", "addresses": ["10.0.0.1/8"]}, "a usable scope (item 1"),
    "no networks": (WHY | {"rule": "a.b", "addresses": []}, "networks in addresses, or no addresses at all"),
    "a socket": (WHY | {"rule": "a.b", "addresses": ["10.0.0.0/8", "unix"]}, "networks in addresses"),
    "a number for a network": (WHY | {"rule": "a.b", "addresses": [7]}, "a usable scope"),
    "a number for networks": (WHY | {"rule": "a.b", "addresses": 7}, "a usable scope"),
    "a date in other words": (WHY | {"rule": "a.b", "expires": "next year"}, '"expires" as an ISO date'),
    "a number for a date": (WHY | {"rule": "a.b", "expires": 1_900_000_000}, '"expires" as an ISO date'),
    "a time of day": (WHY | {"rule": "a.b", "expires": datetime.time(12)}, '"expires" as an ISO date'),
}


@pytest.mark.parametrize(("item", "wanted"), table(24, REFUSED))
def test_what_an_exception_must_say(item: object, wanted: str) -> None:
    with pytest.raises(Wanted) as caught:
        Exemption.parse(item)

    assert wanted in str(caught.value)


MOMENTS: dict[str, tuple[object, float | None]] = {
    "never": (None, None),
    "a day": ("2027-01-31", 1_801_353_600.0),
    "a day as an object": (datetime.date(2027, 1, 31), 1_801_353_600.0),
    "a moment in UTC": ("2027-01-31T12:00:00", 1_801_396_800.0),
    "a moment elsewhere": ("2027-01-31T12:00:00+02:00", 1_801_389_600.0),
    "a moment as an object": (datetime.datetime(2027, 1, 31, 12, tzinfo=datetime.UTC), 1_801_396_800.0),
    "a moment as an object without a zone": (datetime.datetime(2027, 1, 31, 12), 1_801_396_800.0),  # noqa: DTZ001
}


@pytest.mark.parametrize(("value", "expected"), table(7, MOMENTS))
def test_dates_are_in_utc_unless_they_say_otherwise(value: object, expected: float | None) -> None:
    assert Exemption.parse(WHY | {"rule": "a.b", "expires": value}).expires == expected


SCOPES: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "the rule itself": ({}, {}, True),
    "another rule": ({"rule": "protocol.version"}, {}, False),
    "a rule that only begins the same": ({"rule": "protocol.metho"}, {}, False),
    "a pattern": ({"rule": "protocol.m*"}, {}, True),
    "a pattern of another group": ({"rule": "protocol.json.*"}, {}, False),
    "a tag of the finding": ({"rule": "", "tag": "legacy"}, {}, True),
    "another tag": ({"rule": "", "tag": "modern"}, {}, False),
    "the path": ({"path": "/old/{id}"}, {"target": "/old/7"}, True),
    "a path below": ({"path": "/old/**"}, {"target": "/old/7/8"}, True),
    "another path": ({"path": "/old/{id}"}, {"target": "/old/7/8"}, False),
    "a path that the mount point completes": ({"path": "/app/old"}, {"target": "/old", "SCRIPT_NAME": "/app"}, True),
    "a path without its mount point": ({"path": "/old"}, {"target": "/old", "SCRIPT_NAME": "/app"}, False),
    "the method": ({"method": "post"}, {"method": "POST"}, True),
    "another method": ({"method": "PUT"}, {"method": "POST"}, False),
    "the address": ({"addresses": "192.0.2.0/24"}, {"peer": "192.0.2.9"}, True),
    "one of the addresses": ({"addresses": ["::1", "192.0.2.9"]}, {"peer": "192.0.2.9"}, True),
    "another address": ({"addresses": ["192.0.2.0/24"]}, {"peer": "198.51.100.1"}, False),
    "an address that only a header names": (
        {"addresses": ["192.0.2.0/24"]},
        {"peer": "198.51.100.1", "headers": {"X-Forwarded-For": "192.0.2.9"}},
        False,
    ),
    "an unknown address": ({"addresses": ["192.0.2.0/24"]}, {"peer": ""}, False),
    "before it ends": ({"expires": "2023-11-14T22:13:21"}, {}, True),
    "when it ends": ({"expires": "2023-11-14T22:13:20"}, {}, False),
    "all parts": (
        {"path": "/a", "method": "GET", "addresses": "127.0.0.0/8", "expires": "2030-01-01"},
        {"target": "/a"},
        True,
    ),
    "all parts but one": (
        {"path": "/a", "method": "PUT", "addresses": "127.0.0.0/8", "expires": "2030-01-01"},
        {"target": "/a"},
        False,
    ),
}


@pytest.mark.parametrize(("scope", "sent", "covered"), table(23, SCOPES))
def test_what_an_exception_covers(scope: dict[str, Any], sent: dict[str, Any], covered: bool) -> None:
    exemption = Exemption.parse(WHY | {"rule": "protocol.method"} | scope)
    finding = a_finding("protocol.method", tags=("legacy",))

    assert exemption.covers(finding, request_of(environ(**sent)), NOW) is covered
