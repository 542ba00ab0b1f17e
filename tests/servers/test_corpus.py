"""The corpus is all there: a table that silently lost its rows would let every other test pass."""

from __future__ import annotations

from collections import Counter

from tests.data.http import CANARY, HOSTILE, LEGAL
from tests.servers.profiles import PROFILES
from tests.servers.refusal import CODES

HOSTILE_COUNTS: dict[str, int] = {
    "transfer-encoding": 23,
    "both-lengths": 5,
    "content-length": 20,
    "hidden-header": 21,
    "merged-spelling": 8,
    "broken-chunks": 66,
    "forbidden-in-chunks": 8,
    "short-body": 7,
    "method": 28,
    "version": 15,
    "request-line": 12,
    "header-grammar": 85,
    "sizes": 10,
    "own-sizes": 7,
    "expect": 4,
    "upgrade": 5,
    "dot-segments": 16,
    "separators": 13,
    "path-encoding": 29,
    "raw-path": 16,
    "target-form": 22,
    "query": 4,
    "tempting-header": 7,
    "web-target": 9,
    "host": 35,
    "surface": 12,
    "forwarded": 16,
    "behind-proxy": 5,
    "from-afar": 5,
    "authorization": 8,
    "unexpected-body": 10,
    "method-override": 6,
    "account-header": 7,
    "not-json": 23,
    "charset": 9,
    "content-type": 22,
    "content-encoding": 16,
    "too-large": 8,
    "json-duplicates": 20,
    "json-numbers": 36,
    "json-encoding": 50,
    "json-depth": 18,
    "json-syntax": 76,
}
LEGAL_COUNTS: dict[str, int] = {
    "at-the-limit": 8,
    "methods": 17,
    "versions": 5,
    "headers": 40,
    "hosts": 4,
    "stripped": 3,
    "continue": 3,
    "pipelined": 6,
    "behind-proxy": 3,
    "paths": 23,
    "queries": 14,
    "target-forms": 11,
    "chunked": 14,
    "json-types": 10,
    "json-documents": 30,
    "web-bodies": 19,
}


def test_no_hostile_case_is_missing() -> None:
    assert {family: len(cases) for family, cases in HOSTILE.items()} == HOSTILE_COUNTS


def test_no_legal_case_is_missing() -> None:
    assert {family: len(cases) for family, cases in LEGAL.items()} == LEGAL_COUNTS


def test_ids_and_requests_are_unique() -> None:
    cases = [(family, case) for table in (HOSTILE, LEGAL) for family, cases in table.items() for case in cases]
    ids = Counter((family, case.id, type(case)) for family, case in cases)
    raws = Counter((case.raw, case.profile) for _, case in cases)

    assert [key for key, count in ids.items() if count > 1] == []
    assert [raw[:200] for (raw, _), count in raws.items() if count > 1] == []


def test_every_hostile_case_names_who_may_refuse_it() -> None:
    cases = [case for cases in HOSTILE.values() for case in cases]

    assert [case.id for case in cases if not (case.guard or case.server)] == []
    assert {code for case in cases for code in case.guard} - set(CODES) == set()
    assert {status for case in cases for status in case.server} <= {0, 400, 414, 417, 431, 500, 501, 505}


def test_every_protocol_and_tenant_code_is_provoked() -> None:
    assert {code for cases in HOSTILE.values() for case in cases for code in case.guard} == set(CODES)


def test_almost_every_hostile_request_carries_the_canary() -> None:
    # Those without are about nothing but a line or a length, and have no room for it.
    without = [case.id for cases in HOSTILE.values() for case in cases if CANARY not in case.raw]

    assert len(without) < 0.35 * sum(map(len, HOSTILE.values()))


def test_all_profiles_of_cases_exist() -> None:
    used = {case.profile for table in (HOSTILE, LEGAL) for cases in table.values() for case in cases}

    assert used <= set(PROFILES)
