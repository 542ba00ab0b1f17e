"""Files in a folder of this machine: the default, and right for one machine."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from sample_app.artifacts.store import CHUNK_BYTES, StoreUnavailable, checked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a killed process left behind; no upload takes that long.
LEFTOVER_SECONDS: Final = 24 * 60 * 60

# Not a name that a key can begin with.
_INCOMING: Final = ".incoming"


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """The storage. The folder is made when it is first needed, for its owner alone."""

    root: Path

    def put_once(self, key: str, content: IO[bytes], media_type: str) -> bool:
        """Write beside, then give it its name: a link fails if the name is taken, which a rename would not."""
        del media_type
        path = self.root / checked(key)
        try:
            written = self._incoming() / secrets.token_hex(16)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    shutil.copyfileobj(content, file, CHUNK_BYTES)
                    file.flush()
                    # The manifest is what money is settled on; it must outlive the machine's power.
                    os.fsync(file.fileno())
                if not _named(written, path):
                    return False
            finally:
                written.unlink(missing_ok=True)
            _sync(path.parent)
        except OSError as error:
            raise StoreUnavailable(error.strerror) from None
        return True

    def open(self, key: str) -> Iterator[bytes]:
        """The bytes. A link in the place of a file is not followed."""
        try:
            descriptor = os.open(self.root / checked(key), os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise LookupError from None
        except OSError as error:
            raise StoreUnavailable(error.strerror) from None
        return _chunks(os.fdopen(descriptor, "rb"))

    def link(self, key: str, seconds: int) -> None:
        """A folder has no addresses."""
        del key, seconds

    def delete(self, key: str) -> None:
        """Remove the file; folders stay."""
        try:
            (self.root / checked(key)).unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailable(error.strerror) from None

    def _incoming(self) -> Path:
        """The folder of files that are still being written, without those that nobody writes any more."""
        # The mode is that of the last folder only, so the root is made by itself.
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self.root / _INCOMING
        folder.mkdir(mode=0o700, exist_ok=True)
        for each in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - each.stat().st_mtime > LEFTOVER_SECONDS:
                    each.unlink()
        return folder


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _named(written: Path, path: Path) -> bool:
    """Give a written file its name; False if the name is taken."""
    try:
        path.hardlink_to(written)
    except FileExistsError:
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
