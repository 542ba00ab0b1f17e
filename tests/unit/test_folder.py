"""The state directory is private to the user of the workers, or it is not used at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bsguard.core.errors import BsguardError, StateUnusable
from bsguard.stores.folder import kept_secret, open_folder
from tests.unit.support import table

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Path]:
    """A folder while we are an ordinary user, to whom permissions apply."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    path = Path(tempfile.mkdtemp(prefix="guard-"))
    os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield path
    finally:
        os.seteuid(0)
        shutil.rmtree(path)


def refused(path: Path) -> str:
    with pytest.raises(StateUnusable) as caught:
        open_folder(path)

    assert isinstance(caught.value, BsguardError)
    assert caught.value.__cause__ is None
    return str(caught.value)


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_with_its_parents_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "state"
    before = os.umask(0)
    try:
        assert open_folder(path) == path
    finally:
        os.umask(before)

    assert mode_of(path) == 0o700
    assert files(path) == [".gitignore"]
    assert (path / ".gitignore").read_text() == "*\n"


def test_it_can_be_opened_again_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    path = open_folder(tmp_path / "state")
    (path / "kept").write_text("x")

    assert open_folder(path) == path
    assert files(path) == [".gitignore", "kept"]


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o701, 0o1770, 0o740])
def test_one_that_is_open_to_others_is_closed(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "state"
    path.mkdir()
    path.chmod(mode)
    open_folder(path)

    assert mode_of(path) & 0o777 == 0o700


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "state").symlink_to(tmp_path / "real")

    assert refused(tmp_path / "state").endswith("is a link or a file; BSGUARD_STATE_DIR must name a folder itself")
    assert list((tmp_path / "real").iterdir()) == []


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").symlink_to(tmp_path / "gone")

    assert "cannot be made" in refused(tmp_path / "state")
    assert not (tmp_path / "gone").exists()


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("x")

    assert "set BSGUARD_STATE_DIR" in refused(tmp_path / "state")
    assert "set BSGUARD_STATE_DIR" in refused(tmp_path / "state" / "below")


def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    else:
        path = Path("/")

    assert refused(path).endswith("belongs to another user; give it to the one that runs the workers")


def test_a_folder_that_cannot_be_written_is_refused(plain: Path) -> None:
    path = plain / "state"
    path.mkdir(mode=0o500)

    assert "cannot be written (Permission denied)" in refused(path)


def test_a_folder_that_cannot_be_made_is_refused(plain: Path) -> None:
    (plain / "closed").mkdir(mode=0o500)

    assert "cannot be made (Permission denied)" in refused(plain / "closed" / "state")


def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    assert "cannot be made" in refused(tmp_path / ("x" * 300))


def test_the_secret_is_made_once_and_kept_for_us_alone(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "state")
    secret = kept_secret(folder)

    assert len(secret) == 64
    assert set(secret) <= set("0123456789abcdef")
    assert kept_secret(folder) == secret
    assert files(folder) == [".gitignore", "secret.key"]
    assert mode_of(folder / "secret.key") == 0o600
    assert kept_secret(open_folder(tmp_path / "other")) != secret


def test_the_first_of_two_workers_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_folder(tmp_path / "state")

    def already(source: Path, target: Path) -> None:
        target.write_text("f" * 64)
        raise FileExistsError

    monkeypatch.setattr(os, "link", already)

    assert kept_secret(folder) == "f" * 64
    assert files(folder) == [".gitignore", "secret.key"]


def test_a_secret_with_a_line_end_is_read(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "state")
    (folder / "secret.key").write_text("a" * 64 + "\n")

    assert kept_secret(folder) == "a" * 64


DAMAGED = {
    "empty": b"",
    "short": b"short",
    "spaces": b" " * 64,
    "line ends": b"\n" * 64,
    "bytes that are no text": b"\xff" * 64,
    "a cut character": b"\xc3" + b"a" * 64,
}


@pytest.mark.parametrize("content", table(6, DAMAGED))
def test_a_damaged_secret_is_not_used(tmp_path: Path, content: bytes) -> None:
    folder = open_folder(tmp_path / "state")
    (folder / "secret.key").write_bytes(content)

    with pytest.raises(StateUnusable, match="is damaged; delete it"):
        kept_secret(folder)


def test_a_folder_in_place_of_the_secret_is_not_used(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "state")
    (folder / "secret.key").mkdir()

    with pytest.raises(StateUnusable, match="cannot be kept"):
        kept_secret(folder)


def test_a_file_system_without_links_is_said_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_folder(tmp_path / "state")

    def impossible(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", impossible)
    with pytest.raises(StateUnusable, match="cannot be kept"):
        kept_secret(folder)

    assert files(folder) == [".gitignore"]
