"""Outputs of simulated providers on their way into a storage, over real HTTP; what is refused, what is tried again."""

from __future__ import annotations

import base64
import json
import threading
import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app import crash_points
from sample_app.artifact_pipeline import FileRefused, Kept, Unavailable, Unusable
from sample_app.artifacts.local_folder import LocalFolder
from sample_app.artifacts.pipeline import Pipeline, _winner
from sample_app.artifacts.sniffing import MEDIA_TYPES
from sample_app.artifacts.store import StoreUnavailable
from sample_app.catalogue import Provider
from sample_app.outbound.addresses import Reach
from sample_app.outbound.exchange import Bounds, Outbound
from sample_app.providers.port import Accepted, Finished, Output
from sample_app.simulated import media
from sample_app.simulated.faults import Fault
from sample_app.simulated.process import running
from tests.sample_app.providers.conftest import make_ports, until
from tests.sample_app.providers.support import order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sample_app.artifacts.store import Store
    from sample_app.simulated.process import Simulated

BYTES_MAX = 2_000_000


@dataclass
class Generation:
    """As much of one as the pipeline looks at."""

    account_id: str = "acme"
    generation_id: str = "gen_" + "0" * 32
    request: dict[str, Any] = field(default_factory=dict)


@dataclass
class Attempt:
    """As much of one as the pipeline looks at."""

    number: int = 1
    provider: Provider = Provider.REPLICATE


@pytest.fixture(scope="module")
def simulated() -> Iterator[dict[str, Simulated]]:
    with running("replicate") as replicate, running("openrouter") as openrouter:
        yield {"replicate": replicate, "openrouter": openrouter}


def pipeline(store: Store, simulated: dict[str, Simulated], **changed: Any) -> Pipeline:
    reach = Reach(("127.0.0.1",), private=True)
    outbound = Outbound(reach, Bounds(total_seconds=5.0, answer_bytes_max=BYTES_MAX))
    ports: Any = {Provider(name): port for name, port in make_ports(simulated).items()}
    downloads = changed.get("downloads", dict.fromkeys(Provider, outbound))
    return Pipeline(store, ports, downloads, BYTES_MAX)


def keep(pipe: Pipeline, outputs: list[str], output_format: str = "png", **changed: Any) -> Any:
    generation: Any = changed.get("generation", Generation(request={"generation_output_number": len(outputs)}))
    attempt: Any = changed.get("attempt", Attempt())
    return pipe.keep(generation, attempt, [Output(url) for url in outputs], output_format)


def made(simulated: dict[str, Simulated], prompt: str = "A reef", **changed: Any) -> list[str]:
    port = make_ports(simulated)["replicate"]
    taken = port.submit(order("reef-1", prompt, **changed), "x" * 32, "")
    assert isinstance(taken, Accepted)
    done = until(port, "reef-1", taken.provider_id, Finished)
    assert isinstance(done, Finished)
    return [output.url for output in done.outputs]


@pytest.mark.parametrize("media_format", MEDIA_TYPES)
def test_outputs_are_fetched_counted_hashed_and_kept(
    store: Store, simulated: dict[str, Simulated], media_format: str
) -> None:
    pipe = pipeline(store, simulated)
    urls = made(simulated, output_format=media_format, output_number=3)
    kept = keep(pipe, urls, media_format)

    assert isinstance(kept, Kept)
    assert kept.winner.number == 1
    assert [one.media_type for one in kept.winner.files] == [MEDIA_TYPES[media_format]] * 3
    for stored in kept.winner.files:
        content = b"".join(pipe.open(stored.key))
        assert len(content) == stored.bytes
        assert content.startswith(media.make(media_format, "x")[:4])
    assert len({one.sha256 for one in kept.winner.files}) == 3
    assert pipe.winner("acme", "gen_" + "0" * 32) == kept.winner
    assert keep(pipe, urls, media_format) == kept


USELESS = [
    (Fault.WRONG_CONTENT, Unusable("wrong_content")),
    (Fault.WRONG_COUNT, Unusable("wrong_count")),
    (Fault.OUTPUT_GONE, Unavailable("not_served")),
    (Fault.OUTPUT_REDIRECTS, Unusable("redirected")),
    (Fault.OUTPUT_ELSEWHERE, Unusable("address_host_not_allowed")),
    (Fault.OUTPUT_CUT, Unavailable("broken")),
    (Fault.OUTPUT_ENDLESS, Unusable("too_large")),
]


@pytest.mark.parametrize(("fault", "answer"), USELESS, ids=[fault.value for fault, _ in USELESS])
def test_outputs_that_are_no_good_leave_nothing_that_counts(
    simulated: dict[str, Simulated], tmp_path: Path, fault: Fault, answer: object
) -> None:
    pipe = pipeline(LocalFolder(tmp_path), simulated)
    urls = made(simulated, f"A reef simulate:any:{fault}", output_number=2)
    wanted: Any = Generation(request={"generation_output_number": 2})

    assert keep(pipe, urls, generation=wanted) == answer
    assert pipe.winner("acme", wanted.generation_id) is None
    assert not list(tmp_path.rglob("*.json"))


def test_all_useless_ones_were_there() -> None:
    assert len(USELESS) == 7


def test_outputs_that_come_later_are_kept_then(simulated: dict[str, Simulated], tmp_path: Path) -> None:
    pipe = pipeline(LocalFolder(tmp_path), simulated)
    urls = made(simulated, "A reef simulate:any:output_errors")

    assert [type(keep(pipe, urls)) for _ in range(4)] == [Unavailable, Unavailable, Unavailable, Kept]


def test_an_output_behind_the_providers_api_is_fetched_with_the_token(
    simulated: dict[str, Simulated], tmp_path: Path
) -> None:
    port = make_ports(simulated)["openrouter"]
    taken = port.submit(order("lagoon-3"), "x" * 32, "")
    assert isinstance(taken, Accepted)
    done = until(port, "lagoon-3", taken.provider_id, Finished)
    assert isinstance(done, Finished)
    pipe = pipeline(LocalFolder(tmp_path), simulated)
    urls = [output.url for output in done.outputs]

    assert isinstance(keep(pipe, urls, "mp4", attempt=Attempt(provider=Provider.OPENROUTER)), Kept)
    # Another provider's token is not sent there, so there is nothing to fetch.
    other: Any = Generation(generation_id="gen_" + "1" * 32)
    assert keep(pipe, urls, "mp4", generation=other) == Unusable("not_served")


def test_inline_outputs_are_kept(store: Store, simulated: dict[str, Simulated]) -> None:
    content = media.make("webp", "x")
    url = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
    pipe = pipeline(store, simulated)
    kept = keep(pipe, [url], "webp")

    assert isinstance(kept, Kept)
    assert b"".join(pipe.open(kept.winner.files[0].key)) == content


INLINE = [
    ("data:image/png;base64,!!!!", "malformed"),
    ("data:image/png;base64,AAAA", "wrong_content"),
    ("data:image/png,AAAA", "malformed"),
    ("data:", "malformed"),
    ("data:image/png;base64," + base64.b64encode(media.make("png", "x") + bytes(BYTES_MAX)).decode(), "too_large"),
    ("data:image/png;base64,\u00e4\u00e4\u00e4\u00e4", "malformed"),
]


@pytest.mark.parametrize(("url", "reason"), INLINE, ids=range(len(INLINE)))
def test_inline_outputs_that_are_no_good(
    simulated: dict[str, Simulated], tmp_path: Path, url: str, reason: str
) -> None:
    assert keep(pipeline(LocalFolder(tmp_path), simulated), [url]) == Unusable(reason)


ELSEWHERE = [
    ("file:///etc/passwd", Unusable("address_malformed")),
    ("http://localhost:1/x.png", Unusable("address_host_not_allowed")),
    ("https://evil.example/x.png", Unusable("address_host_not_allowed")),
    ("http://127.0.0.1:1/x.png", Unavailable("address_unreachable")),
    ("", Unusable("address_malformed")),
]


@pytest.mark.parametrize(("url", "answer"), ELSEWHERE, ids=[case[0] for case in ELSEWHERE])
def test_nothing_is_fetched_from_elsewhere(
    simulated: dict[str, Simulated], tmp_path: Path, url: str, answer: object
) -> None:
    assert keep(pipeline(LocalFolder(tmp_path), simulated), [url]) == answer


def test_an_allowed_name_that_resolves_inside_is_not_fetched(simulated: dict[str, Simulated], tmp_path: Path) -> None:
    outbound = Outbound(Reach(("cdn.example",)), resolve=lambda _host, _port: ("169.254.169.254",))
    pipe = pipeline(LocalFolder(tmp_path), simulated, downloads=dict.fromkeys(Provider, outbound))

    assert keep(pipe, ["https://cdn.example/x.png"]) == Unusable("address_not_public")


def test_the_first_attempt_wins_and_the_second_hears_so(store: Store, simulated: dict[str, Simulated]) -> None:
    pipe = pipeline(store, simulated)
    second = keep(pipe, made(simulated), attempt=Attempt(2))
    first = keep(pipe, made(simulated), attempt=Attempt(1))

    assert isinstance(second, Kept)
    assert second.winner.number == 2
    assert first == second
    # Nothing is fetched for second place: there is nobody at this address.
    assert keep(pipe, ["http://127.0.0.1:1/x.png"], attempt=Attempt(3)) == second


def test_of_attempts_that_finish_together_one_wins(store: Store, simulated: dict[str, Simulated]) -> None:
    pipe = pipeline(store, simulated)
    urls = {number: made(simulated) for number in range(1, 5)}
    barrier, seen = threading.Barrier(4), []
    before = crash_points.hook
    crash_points.hook = lambda _name: barrier.wait() and None
    try:
        threads = [
            threading.Thread(
                target=lambda number=number: seen.append(keep(pipe, urls[number], attempt=Attempt(number)))
            )
            for number in urls
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        crash_points.hook = before

    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert isinstance(seen[0], Kept)


def test_what_was_stored_before_a_crash_is_not_fetched_again(simulated: dict[str, Simulated], tmp_path: Path) -> None:
    class Crash(BaseException):
        pass

    def crash(_name: str) -> None:
        raise Crash

    pipe = pipeline(LocalFolder(tmp_path), simulated)
    urls = made(simulated)
    before = crash_points.hook
    crash_points.hook = crash
    try:
        with pytest.raises(Crash):
            keep(pipe, urls)
    finally:
        crash_points.hook = before
    # The provider has deleted it by now, as Replicate does after an hour.
    kept = keep(pipe, ["http://127.0.0.1:1/gone.png"])

    assert isinstance(kept, Kept)
    assert b"".join(pipe.open(kept.winner.files[0].key)).startswith(b"\x89PNG")


def test_a_storage_that_is_away_is_tried_again(simulated: dict[str, Simulated], tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_bytes(b"")

    assert keep(pipeline(LocalFolder(tmp_path / "artifacts"), simulated), made(simulated)) == Unavailable(
        "storage_unavailable"
    )


def test_uploads_are_what_they_are_declared_to_be(store: Store, simulated: dict[str, Simulated]) -> None:
    pipe = pipeline(store, simulated)
    png = media.make("png", "x")
    stored = pipe.put("acme/uploads/file_1", iter([png[:3], b"", png[3:]]), "image/png", 1_000)

    assert (stored.bytes, stored.media_type) == (len(png), "image/png")
    assert b"".join(pipe.open("acme/uploads/file_1")) == png
    for content, declared, too_large in (
        (png, "image/jpeg", False),
        (b"<script>", "image/png", False),
        (b"", "image/png", False),
        (png + bytes(1_000), "image/png", True),
    ):
        with pytest.raises(FileRefused) as caught:
            pipe.put("acme/uploads/file_2", [content], declared, 1_000)
        assert caught.value.too_large is too_large
    with pytest.raises(LookupError):
        pipe.open("acme/uploads/file_2")


def test_a_large_file_is_never_whole_in_memory(simulated: dict[str, Simulated], tmp_path: Path) -> None:
    pipe = pipeline(LocalFolder(tmp_path), simulated)
    head = media.make("mp4", "x")
    tracemalloc.start()
    stored = pipe.put("acme/uploads/large", _chunks(head, 64 * 1024 * 1024), "video/mp4", 2**30)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert stored.bytes > 64 * 1024 * 1024
    assert peak < 4 * 1024 * 1024


def _chunks(head: bytes, size: int) -> Iterator[bytes]:
    yield head
    chunk = bytes(65_536)
    for _ in range(size // len(chunk)):
        yield chunk


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["number", "files", "key", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_manifest_of_any_shape_is_one_or_is_said_to_be_none(raw: bytes) -> None:
    try:
        assert _winner(raw).number is not None
    except StoreUnavailable:
        return
