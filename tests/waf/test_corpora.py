"""The corpora: what must be refused is, what must pass does. A sample here; every request in ``./run bench waf``."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.seclang.crs import TESTS
from tests.waf.corpus.attacks import CLASSES, attacks, is_held_out, payloads
from tests.waf.corpus.benign import COUNT, LONG, SHORT, benign, texts
from tests.waf.corpus.encodings import ENCODINGS
from tests.waf.corpus.places import PLACES
from tests.waf.corpus.score import score
from tests.waf.given import LIBINJECTION, attacks_of_another_class, crs, libinjection
from tests.waf.judge import judge

#: Every so many requests of a corpus; a prime, so that no class, place or encoding falls through.
_EVERY_ATTACK = 53
_EVERY_BENIGN = 5


def test_the_corpora_are_as_large_as_they_should_be() -> None:
    assert COUNT == 9000
    assert sum(1 for _ in benign()) == COUNT
    assert sum(1 for _ in attacks()) == 74_146
    assert (len(CLASSES), len(ENCODINGS), len(PLACES)) == (15, 14, 14)
    assert sum(len(payloads(kind)) for kind in CLASSES) == 553
    assert sum(len(texts(kind)) for kind in (*SHORT, *LONG)) == 812


def test_they_are_the_same_every_time() -> None:
    assert [one.request for one in islice(benign(), 50)] == [one.request for one in islice(benign(), 50)]
    assert [one.name for one in islice(attacks(), 50)] == [one.name for one in islice(attacks(), 50)]


def test_a_quarter_is_held_out() -> None:
    held = [is_held_out(payload) for kind in CLASSES for payload in payloads(kind)]
    assert 0.2 < sum(held) / len(held) < 0.3


def test_attacks_are_refused_in_every_class_encoding_and_place() -> None:
    sample = list(islice(attacks(), 0, None, _EVERY_ATTACK))
    found = score(sample, judge, hostile=True)
    assert set(found.total) == {*CLASSES, "prototype", "scanner", "header"}
    assert {one.encoding for one in sample} == set(ENCODINGS)
    assert {*PLACES} <= {one.place for one in sample}
    assert found.share >= 0.97, [one.name for one in found.wrong]
    for kind, total in found.total.items():
        assert found.refused[kind] / total >= 0.95, kind


def test_honest_requests_pass() -> None:
    found = score(islice(benign(), 0, None, _EVERY_BENIGN), judge, hostile=False)
    assert found.total.total() == COUNT // _EVERY_BENIGN
    assert found.share <= 0.002, [one.name for one in found.wrong]


@pytest.mark.slow
def test_the_whole_corpora_keep_to_the_bars() -> None:
    assert score(attacks(), judge, hostile=True).share >= 0.97
    assert score(benign(), judge, hostile=False).share <= 0.002


@pytest.mark.skipif(not LIBINJECTION.is_dir(), reason="there is no shared/data/libinjection beside the checkout")
@pytest.mark.parametrize("place", ["query", "json"])
@pytest.mark.parametrize(("kind", "every"), [("sqli", 97), ("xss", 7), ("false_positives", 1)])
def test_the_lists_of_libinjection(kind: str, every: int, place: str) -> None:
    found = score(islice(libinjection(kind, place), 0, None, every), judge, hostile=kind != "false_positives")
    assert found.total.total() == {"sqli": 177, "xss": 235, "false_positives": 421}[kind]
    if kind == "false_positives":
        assert found.share <= 0.01, [one.name for one in found.wrong]
    else:
        assert found.share >= 0.95, [one.name for one in found.wrong]


@pytest.mark.skipif(not TESTS.is_dir(), reason="there is no shared/data/crs-tests beside the checkout")
def test_the_requests_of_crs() -> None:
    found = score(crs(positive=True), judge, hostile=True)
    assert found.total.total() == 1540
    assert found.share >= 0.9, [one.name for one in found.wrong]


@pytest.mark.skipif(not TESTS.is_dir(), reason="there is no shared/data/crs-tests beside the checkout")
def test_what_is_refused_of_what_one_rule_of_crs_must_not_find_is_an_attack_all_the_same() -> None:
    listed = attacks_of_another_class()
    found = score(crs(positive=False), judge, hostile=False)
    assert found.total.total() == 276
    assert {one.name for one in found.wrong} == listed.keys()
    assert len(listed) == 12
    assert all(len(reason) > 40 for reason in listed.values())
