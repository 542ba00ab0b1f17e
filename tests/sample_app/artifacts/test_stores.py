"""Every storage does the same: once, whole, by key; and says so when it cannot."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from sample_app.artifacts.local_folder import LEFTOVER_SECONDS, LocalFolder
from sample_app.artifacts.s3 import WHOLE_BYTES_MAX
from sample_app.artifacts.store import StoreUnavailable, checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sample_app.artifacts.store import Store


def put(store: Store, key: str, content: bytes) -> bool:
    return store.put_once(key, io.BytesIO(content), "image/png")


def test_a_key_is_made_once_and_the_first_file_stays(store: Store) -> None:
    assert put(store, "acme/gen_1/winner.json", b"first")
    assert not put(store, "acme/gen_1/winner.json", b"second")
    assert b"".join(store.open("acme/gen_1/winner.json")) == b"first"


def test_of_many_at_once_one_is_first(store: Store) -> None:
    barrier = threading.Barrier(8)
    won: list[int] = []

    def race(number: int) -> None:
        barrier.wait()
        if put(store, "acme/gen_2/winner.json", str(number).encode() * 1_000):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert b"".join(store.open("acme/gen_2/winner.json")) == str(won[0]).encode() * 1_000


def test_a_large_file_comes_back_as_it_was(store: Store) -> None:
    content = os.urandom(WHOLE_BYTES_MAX + 300_000)

    assert put(store, "acme/large", content)
    assert not put(store, "acme/large", content)
    assert b"".join(store.open("acme/large")) == content


def test_an_empty_key_is_not_there_and_may_be_deleted(store: Store) -> None:
    with pytest.raises(LookupError):
        store.open("acme/nothing")
    store.delete("acme/nothing")
    put(store, "acme/something", b"x")
    store.delete("acme/something")
    with pytest.raises(LookupError):
        store.open("acme/something")


KEYS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "a/./b",
    ".incoming/x",
    "a\\b",
    "a b",
    "a\x00",
    "\u00e4",
    "a" * 513,
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_more_than_a_name_is_no_key(store: Store, key: str) -> None:
    with pytest.raises(LookupError):
        checked(key)
    for action in (lambda: put(store, key, b"x"), lambda: store.open(key), lambda: store.delete(key)):
        with pytest.raises(LookupError):
            action()


def test_all_keys_were_there() -> None:
    assert len(KEYS) == 15


def test_a_presigned_address_serves_the_file_for_a_while(make_s3: Callable[[], Any]) -> None:
    store = make_s3()
    put(store, "acme/a.png", b"content")
    url = store.link("acme/a.png", 60)
    answer = urllib3.request("GET", url)

    assert "X-Amz-Expires=60" in url
    assert (answer.status, answer.data) == (200, b"content")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"] == "attachment"


def test_a_folder_has_no_addresses(tmp_path: Path) -> None:
    assert LocalFolder(tmp_path).link("a", 60) is None


def test_a_storage_that_is_away_says_so_and_tells_nothing() -> None:
    from sample_app.artifacts.s3 import S3

    options: dict[str, Any] = {
        "endpoint": "http://127.0.0.1:1",
        "access_key_id": "hunter2",
        "secret_access_key": "hunter2",
        "client_options": {"allow_http": True, "timeout": "1s"},
        "retry_config": {"max_retries": 0},
    }
    store = S3("s3://nowhere/x", **options)
    for action in (lambda: put(store, "a", b"x"), lambda: store.open("a"), lambda: store.delete("a")):
        with pytest.raises(StoreUnavailable) as caught:
            action()
        assert "hunter2" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_bytes(b"a file in its place")

    with pytest.raises(StoreUnavailable):
        put(LocalFolder(tmp_path / "artifacts"), "a", b"x")
    store = LocalFolder(tmp_path / "other")
    put(store, "a", b"x")
    # A file where a folder is needed is no taken key.
    with pytest.raises(StoreUnavailable):
        put(store, "a/b", b"x")


def test_files_are_the_owners_and_nothing_is_left_half_written(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, *_size: object) -> bytes:
            raise OSError(5, "broken")

    store = LocalFolder(tmp_path / "artifacts")
    put(store, "acme/a", b"x")
    with pytest.raises(StoreUnavailable):
        store.put_once("acme/b", Broken(), "image/png")

    assert (store.root / "acme" / "a").stat().st_mode & 0o777 == 0o600
    assert store.root.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in store.root.rglob("*") if path.is_file()) == ["a"]


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path: Path) -> None:
    store = LocalFolder(tmp_path / "artifacts")
    put(store, "a", b"x")
    fresh, old = store.root / ".incoming" / "fresh", store.root / ".incoming" / "old"
    fresh.touch()
    old.touch()
    os.utime(old, (0, old.stat().st_mtime - LEFTOVER_SECONDS - 1))
    put(store, "b", b"x")

    assert fresh.exists()
    assert not old.exists()


def test_a_symbolic_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    store = LocalFolder(tmp_path / "artifacts")
    put(store, "a", b"x")
    (tmp_path / "secret").write_bytes(b"secret")
    (store.root / "b").symlink_to(tmp_path / "secret")

    with pytest.raises(StoreUnavailable):
        store.open("b")
