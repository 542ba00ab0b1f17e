"""Places are given back and failures counted however a request ends: the true status, and the end of the answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.stores.port import Counter, Rate
from bsguard.testing import environ, run
from tests.limiter.support import OTHER, PEER, WIDE, Bench, CountingStore, Doors, code_of, table
from tests.wsgi.support import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ONE_PLACE: dict[str, object] = {**WIDE, "RULES": [{"name": "place", "concurrency": 1}]}


class Ends:
    """Ends its answer in the way that the path says."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        way = environ["PATH_INFO"].strip("/")
        if way == "raises":
            raise ZeroDivisionError("on purpose")
        if way == "never starts":
            return []
        write = start_response("200 OK", [])
        if way == "raises after starting":
            raise ZeroDivisionError("on purpose")
        if way == "restarts":
            start_response("500 Oh", [], (ValueError, ValueError("x"), None))
        if way == "writes":
            write(b"a")
            return []
        if way == "sends a file":
            return environ["wsgi.file_wrapper"](__import__("io").BytesIO(b"abc"))
        return self.chunks(way)

    @staticmethod
    def chunks(way: str) -> Iterator[bytes]:
        yield b"a"
        if way == "raises on the way":
            raise ZeroDivisionError("on purpose")
        yield b"b"
        yield b"c"


class FileWrapper:
    def __init__(self, file: Any, size: int = 8192) -> None:
        self.file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(8192), b"")


WAYS = (
    "streams",
    "raises",
    "raises after starting",
    "raises on the way",
    "never starts",
    "restarts",
    "writes",
    "sends a file",
)


@pytest.mark.parametrize("take", [None, 0, 1], ids=["read to the end", "left at once", "left on the way"])
@pytest.mark.parametrize("way", WAYS)
def test_a_place_is_given_back_however_the_request_ends(way: str, take: int | None) -> None:
    bench = Bench(ONE_PLACE, app=Ends())
    for _ in range(3):
        made = environ("GET", f"/{way}", peer=PEER, **{"wsgi.file_wrapper": FileWrapper})
        sent = serve(bench.layer, made, take=take)
        assert sent.status != 429

    assert bench.rules() == []


def holding(bench: Bench, path: str = "/stream", **how: Any) -> Any:
    """A request whose answer has begun and goes on."""
    chunks = bench.layer(environ("GET", path, peer=PEER, **how), lambda *_: lambda _data: None)
    iterator = iter(chunks)
    next(iterator)
    return chunks


def test_a_place_is_taken_until_the_answer_is_complete() -> None:
    bench = Bench(ONE_PLACE, app=Ends())
    chunks = holding(bench)
    refused = run(bench.layer, environ("GET", "/stream", peer=PEER))

    assert (refused.status, code_of(refused)) == (429, "BSE1302")
    assert refused.header("Retry-After") == "1", "a place may be free at any moment"
    assert "place" not in refused.header("RateLimit-Policy")
    assert run(bench.layer, environ("GET", "/stream", peer=OTHER)).status == 200
    chunks.close()
    chunks.close()
    assert run(bench.layer, environ("GET", "/stream", peer=PEER)).status == 200


def test_refused_requests_give_no_places_back_that_they_never_had() -> None:
    bench = Bench({**ONE_PLACE, "RULES": [{"name": "places", "concurrency": 2}]}, app=Ends())
    held = [holding(bench), holding(bench)]

    assert [run(bench.layer, environ("GET", "/s", peer=PEER)).status for _ in range(20)] == [429] * 20
    held.pop().close()
    held.append(holding(bench))
    assert run(bench.layer, environ("GET", "/s", peer=PEER)).status == 429


def test_a_place_that_another_limit_refuses_is_not_taken() -> None:
    rules = [{"name": "place", "concurrency": 1}, {"name": "few", "rate": "1/hour", "path": "/few"}]
    bench = Bench({**WIDE, "RULES": rules}, app=Ends())
    statuses = [run(bench.layer, environ("GET", "/few", peer=PEER)).status for _ in range(5)]

    assert statuses == [200, 429, 429, 429, 429]
    assert run(bench.layer, environ("GET", "/s", peer=PEER)).status == 200


def test_what_another_limit_refuses_gives_no_place_back() -> None:
    rules = [{"name": "place", "concurrency": 2}, {"name": "few", "rate": "1/hour", "path": "/few"}]
    bench = Bench({**WIDE, "RULES": rules}, app=Ends())
    assert run(bench.layer, environ("GET", "/few", peer=PEER)).status == 200
    held = [holding(bench)]
    assert [run(bench.layer, environ("GET", "/few", peer=PEER)).status for _ in range(5)] == [429] * 5
    held.append(holding(bench))

    assert run(bench.layer, environ("GET", "/s", peer=PEER)).status == 429


def test_a_place_of_a_request_that_never_ended_comes_back_after_a_while() -> None:
    bench = Bench({**WIDE, "RULES": [{"name": "place", "concurrency": 2, "lapse_seconds": 60}]}, app=Ends())
    lost = [holding(bench), holding(bench)]  # a worker that died with them
    assert run(bench.layer, environ("GET", "/s", peer=PEER)).status == 429
    bench.clock.advance(60)
    assert run(bench.layer, environ("GET", "/s", peer=PEER)).status == 200
    assert len(lost) == 2


def test_places_that_are_all_taken_for_hours_do_not_become_more() -> None:
    bench = Bench({**WIDE, "RULES": [{"name": "places", "concurrency": 4, "lapse_seconds": 60}]}, app=Ends())
    held: list[tuple[int, Any]] = []
    most = refused = 0
    for second in range(7200):
        bench.clock.advance(1)
        for one in [one for one in held if one[0] <= second - 11]:
            held.remove(one)
            one[1].close()
        if run(bench.layer, environ("GET", "/s", peer=PEER)).status == 429:
            refused += 1
            assert len(held) == 4, "refused, and there was room"
        else:
            held.append((second, holding(bench)))
        most = max(most, len(held))

    assert most == 4
    assert refused > 1000


def test_no_more_than_the_places_are_taken_at_once() -> None:
    seen, most = [0], [0]
    lock = threading.Lock()
    ready = threading.Barrier(12)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        with lock:
            seen[0] += 1
            most[0] = max(most[0], seen[0])
        start_response("200 OK", [])
        yield b"a"
        threading.Event().wait(0.002)
        with lock:
            seen[0] -= 1

    bench = Bench({**WIDE, "RULES": [{"name": "places", "concurrency": 3, "key": "global"}]}, app=app)
    statuses: list[int] = []

    def send() -> None:
        ready.wait()
        for _ in range(30):
            statuses.append(run(bench.layer, environ("GET", "/s", peer=PEER)).status)

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(statuses) == 360
    assert most[0] == 3
    assert set(statuses) == {200, 429}
    assert bench.statuses(3, "/s") == [200] * 3


def test_a_later_layer_that_refuses_gives_the_place_back() -> None:
    from functools import partial

    from bsguard import Limiter, Tenant, stack

    surfaces = {"SURFACES": [{"name": "api", "kind": "api", "hosts": ["localhost"], "prefixes": ["/v1"]}]}
    bench = Bench(ONE_PLACE)
    limiter = partial(Limiter, config=ONE_PLACE, store=bench.store, settings=surfaces)
    app = stack(Doors(), limiter, partial(Tenant, settings=surfaces))

    assert [run(app, environ("GET", "/x", peer=PEER)).status for _ in range(3)] == [404] * 3


# --- the true status --------------------------------------------------------------------------------------------------


def late_401(environ: dict[str, Any], start_response: Any) -> Any:
    """Changes its mind before anything was sent (PEP 3333)."""
    start_response("200 OK", [])
    start_response("401 Unauthorized", [], (ValueError, ValueError("x"), None))
    return [b"no"]


def generated_401(environ: dict[str, Any], start_response: Any) -> Any:
    """Starts the response when the server asks for the first chunk."""
    start_response("401 Unauthorized", [])
    yield b"no"


def odd_401(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("401", [])
    return []


def file_401(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("401 Unauthorized", [])
    return environ["wsgi.file_wrapper"](__import__("io").BytesIO(b"no"))


def written_401(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("401 Unauthorized", [])(b"no")
    return []


REFUSERS: dict[str, Callable[..., Any]] = {
    "a second start": late_401,
    "a generator": generated_401,
    "a status without words": odd_401,
    "a file": file_401,
    "write": written_401,
}


@pytest.mark.parametrize("take", [None, 0], ids=["read", "left at once"])
@pytest.mark.parametrize("app", table(5, REFUSERS))
def test_a_refusal_counts_however_it_is_sent(app: Any, take: int | None) -> None:
    if take == 0 and app is generated_401:
        take = 1  # nobody knows the status before
    bench = Bench({"TARGET_RATE": "1000/second"}, app=app)
    for number in range(5):
        headers = {"Authorization": f"Bearer {number}aaaaaaaa"}
        made = environ("GET", "/x", peer=PEER, headers=headers, **{"wsgi.file_wrapper": FileWrapper})
        serve(bench.layer, made, take=take)

    assert len(bench.named("ban.set")) == 1


@pytest.mark.parametrize("way", ["raises", "never starts", "raises on the way"])
def test_an_answer_that_fails_is_neither_failure_nor_proof(way: str) -> None:
    bench = Bench({"TARGET_RATE": "1000/second"}, app=Ends())
    for number in range(20):
        sent = environ("GET", f"/{way}", peer=PEER, headers={"Authorization": f"Bearer {number}aaaaaaaa"})
        assert serve(bench.layer, sent).status != 429

    assert bench.named("ban.set") == []
    assert set(bench.store.calls) == {"take", "settle"}


def test_a_place_is_given_back_when_only_the_table_knows_of_the_ban(tmp_path: Any) -> None:
    """The store was lost, or another stands in: the ban holds, and what was charged before is undone."""
    from bsguard.core.overrides import Override
    from bsguard.stores.overrides import SQLiteOverrides
    from bsguard.testing import FakeClock

    clock = FakeClock()
    overrides = SQLiteOverrides(tmp_path / "o.sqlite", clock)
    rules = [{"name": "place", "concurrency": 1, "key": "global"}]
    bench = Bench({**WIDE, "RULES": rules}, app=Ends(), overrides=overrides, clock=clock)
    now = clock.now()
    value: dict[str, object] = {"subject": f"client {PEER}"}
    overrides.add(Override(kind="ban", value=value, author="bsguard", comment="why", created=now, expires=now + 600))

    refused = bench.ask("/x", key="Bearer unknown")
    assert (refused.status, code_of(refused), refused.header("Retry-After")) == (429, "BSE1304", "600")
    assert bench.ask("/x", by=OTHER).status == 200
    overrides.close()


def test_the_counter_of_places_is_empty_when_all_is_over() -> None:
    bench = Bench(ONE_PLACE, app=Ends())
    for way in WAYS:
        serve(bench.layer, environ("GET", f"/{way}", peer=PEER, **{"wsgi.file_wrapper": FileWrapper}))
    key = bench.layer._rates._keys.counter("place", f"ip {PEER}")
    taken = bench.store.take(int(bench.clock.now() * 1e6), [Counter(key, Rate(300_000_000, 1), cost=0)])

    assert taken.loads_us == (0,)


def test_places_of_an_ipv6_client_come_back_to_its_site_too() -> None:
    bench = Bench(ONE_PLACE, app=Ends())

    assert [run(bench.layer, environ("GET", "/s", peer="2001:db8::1")).status for _ in range(40)] == [200] * 40


# --- own refusals -----------------------------------------------------------------------------------------------------


def test_own_refusals_never_count_towards_a_ban() -> None:
    from functools import partial

    from bsguard import Limiter, stack
    from bsguard.core import codes
    from bsguard.core.layer import Layer, LayerConfig
    from bsguard.core.verdict import Finding, Verdict
    from bsguard.testing import FakeClock

    class Denier(Layer[LayerConfig]):
        name = "denier"

        def inspect_head(self, request: Any) -> Verdict:
            code = codes.Code("BSE1000", 401, "no", "No", "Never.")
            return Verdict((Finding("denier.all", code, "because"),))

    for between in ((), (lambda app: lambda environ, start: app(dict(environ), start),)):
        events: list[Any] = []
        config = {"GLOBAL_RATE": "1000000/second", "PROBING_RATE": "1/hour"}
        outer = partial(Limiter, config=config, store=CountingStore(), clock=FakeClock(), emit=events.append)
        for layer, kinds in ((Denier, {401}), (tenant_only(), {404})):
            app = stack(Doors(), outer, *between, partial(layer, emit=events.append))
            answers = {
                run(
                    app, environ("GET", f"/x/a{number}b", peer=PEER, headers={"Authorization": f"Bearer {number}zzzzz"})
                ).status
                for number in range(30)
            }
            assert answers == kinds
        assert [event for event in events if event.name == "ban.set"] == []


def tenant_only() -> Any:
    """A tenant layer that serves nothing under the host of the tests."""
    from functools import partial

    from bsguard import Tenant

    surfaces = [{"name": "api", "kind": "api", "hosts": ["localhost"], "prefixes": ["/v1"]}]
    return partial(Tenant, settings={"SURFACES": surfaces})
