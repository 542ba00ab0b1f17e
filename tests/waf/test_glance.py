"""The layer with and without its first glance: the same answers and events; and it does save work."""

from __future__ import annotations

import io
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bsguard import Waf
from bsguard.seclang import Request, RuleSet
from bsguard.seclang.prefilter.literals import needed
from bsguard.seclang.prefilter.needles import needle_of
from bsguard.testing import environ, run
from bsguard.waf.catalogue import program
from tests.waf.corpus.attacks import attacks
from tests.waf.corpus.benign import benign
from tests.waf.corpus.places import BOUNDARY
from tests.waf.judge import rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bsguard.seclang.engine import Engine

_EVERY_ATTACK = 61
_EVERY_BENIGN = 7


def fine(request: Any, start_response: Any) -> list[bytes]:
    request["wsgi.input"].read()
    start_response("200 OK", [])
    return [b"fine"]


def finished(engine: Engine, request: Request) -> Engine:
    engine.head()
    engine.body(request.body)
    return engine


def clear_heads(requests: Iterable[Request]) -> int:
    """How many heads are clear; each request is judged the same way whether the glance has seen it or not."""
    glance = rules().glance
    assert glance is not None
    clear = 0
    for request in requests:
        found = glance.of_head(request)
        asked = finished(rules().begin(request), request)
        told = finished(rules().begin(request, found=found), request)
        assert told.outcome() == asked.outcome(), request
        assert found is None or request.body or not (asked.matches or asked.transaction.unread), request
        clear += found is not None
    return clear


def test_attacks_are_judged_the_same() -> None:
    sample = [one.request for one in islice(attacks(), 0, None, _EVERY_ATTACK)]
    without_body = [Request(one.method, one.target, one.headers, client=one.client) for one in sample]
    assert clear_heads(sample) > 0  # those whose body is the attack
    assert clear_heads(without_body) > 0


def test_honest_requests_are_judged_the_same_and_nearly_all_of_their_heads_are_clear() -> None:
    sample = [one.request for one in islice(benign(), 0, None, _EVERY_BENIGN)]
    assert len(sample) == 1286
    assert clear_heads(sample) / len(sample) > 0.85


def test_nothing_is_lost_to_what_finds_the_rules_that_may_match() -> None:
    plain = RuleSet(program(), tier="re")
    matched = 0
    samples = [*islice(attacks(), 0, None, 1009), *islice(benign(), 0, None, 101)]
    for request in (one.request for one in samples):
        expected = finished(plain.begin(request), request)
        found = finished(rules().begin(request), request)
        assert found.outcome() == expected.outcome(), request
        matched += len(expected.matches)
    assert len(samples) == 164
    assert matched > 70


PATTERNS = [
    one
    for rule in program().rules
    for link in rule.links
    if (needle := needle_of(link)) is not None
    for one in needle.sought
    if isinstance(one, str)
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_whatever_a_pattern_of_ours_matches_holds_the_literals_that_are_looked_for(pattern: str) -> None:
    sets = needed(pattern)
    lower = re.compile(pattern.replace("(?i)", "").encode("latin-1"), re.DOTALL | re.MULTILINE)

    @given(st.from_regex(lower))
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    def holds(text: bytes) -> None:
        assert all(any(literal in text.lower() for literal in found) for found in sets)

    holds()


def test_nearly_every_pattern_of_ours_needs_literals() -> None:
    assert (len(PATTERNS), sum(1 for pattern in PATTERNS if needed(pattern))) == (91, 87)


#: Pieces of attacks and of what is around them, so that requests are on both sides of every rule's edge.
PIECES = (
    *("' or 1=1", "union select ", "' or '1'='1", "; cat /etc/passwd", "../../", "${jndi:ldap://x}", "{{7*7}}", "<svg"),
    *(
        "/onload=x>",
        "javascript:",
        "__proto__",
        "constructor",
        "[$ne]",
        "$where",
        "<!ENTITY x SYSTEM>",
        "php://",
        "sqlmap",
    ),
    *(
        "http://169.254.169.254/",
        "\\u0027",
        "%27",
        "%2527",
        "&#39;",
        "+ADw-",
        "PHNjcmlwdD4=",
        "rO0ABXNyABFqYXZh",
        "\r\nbcc:",
    ),
    *(
        "name",
        "a",
        "O'Neil",
        " and ",
        "=",
        "&",
        ";",
        "/",
        "?",
        "#",
        ".",
        ",",
        ":",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        '"',
        "\\",
    ),
    *("\n", "\0", "\t", "é", "\xff", "1", "json.", "application/xml", "boundary=x", "multipart/form-data", "gzip", ""),
)
TEXT = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
#: Header values as a server lets them through.
VALUE = TEXT.map(lambda text: "".join(char for char in text if char >= " "))
MULTIPART = f"multipart/form-data; boundary={BOUNDARY.decode()}"
MEDIA = st.sampled_from(
    (
        "application/json",
        "application/x-www-form-urlencoded",
        "application/xml",
        "text/plain",
        MULTIPART,
        "",
        "text/xml",
    )
)


def json_body(text: str) -> bytes:
    return b'{"name": ["%s"], "%s": 1}' % (text.encode(), text.encode())


def form_body(text: str) -> bytes:
    return b"name=a&q=%s" % text.encode()


def xml_body(text: str) -> bytes:
    return b'<a b="1"><c>%s</c></a>' % text.encode()


def multipart_body(text: str) -> bytes:
    disposition = b'Content-Disposition: form-data; name="a"; filename="%s"' % text.encode()
    return b"--%s\r\n%s\r\n\r\n%s\r\n--%s--\r\n" % (BOUNDARY, disposition, text.encode(), BOUNDARY)


BODY = st.builds(
    lambda shape, text: shape(text),
    st.sampled_from((json_body, form_body, xml_body, multipart_body, str.encode, lambda _: b"")),
    TEXT,
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ("HTTP_USER_AGENT", "HTTP_X_SEARCH", "HTTP_COOKIE", "HTTP_REFERER", "HTTP_X_ORIGINAL_URL", "HTTP_RANGE")
    ),
    VALUE,
    max_size=3,
)


def answered(layer: Waf, events: list[Any], given_: Any) -> tuple[Any, ...]:
    method, path, query, headers, media, body = given_
    raw = environ(method, "/", body=body) | headers
    raw |= {"PATH_INFO": path.encode().decode("latin-1"), "QUERY_STRING": query.encode().decode("latin-1")}
    raw |= {"CONTENT_TYPE": media} if media else {}
    raw.pop("RAW_URI", None)
    raw["wsgi.input"] = io.BytesIO(body)
    del events[:]
    status = run(layer, raw).status
    told = [(event.name, getattr(event, "rule", ""), getattr(event, "variables", "")) for event in events]
    return status, [one for one in told if one[0] != "server.recognised"]


def pair() -> tuple[tuple[Waf, list[Any]], tuple[Waf, list[Any]]]:
    profiles = {"PROFILES": [{"parameter": "name", "profile": "free_text"}, {"parameter": "a.*", "profile": "secret"}]}
    with_events: list[Any] = []
    without_events: list[Any] = []
    with_glance = Waf(fine, profiles, emit=with_events.append)
    without = Waf(fine, profiles, emit=without_events.append)
    without.rule_set.glance = None
    return (with_glance, with_events), (without, without_events)


LAYERS = pair()


@given(st.tuples(st.sampled_from(("GET", "POST")), TEXT.map("/{}".format), TEXT, HEADERS, MEDIA, BODY))
@settings(max_examples=1500, deadline=None)
def test_the_layer_answers_and_tells_the_same(given_: Any) -> None:
    (with_glance, with_events), (without, without_events) = LAYERS
    assert answered(with_glance, with_events, given_) == answered(without, without_events, given_)
