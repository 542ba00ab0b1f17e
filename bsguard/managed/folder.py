"""Where an installed Core Rule Set lies: versions side by side in the state directory, and a note of the one in use.

The note is replaced in one step, so that a worker that starts meanwhile finds the old version or the new one, whole.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bsguard.core.errors import StateUnusable

#: Set while a rule set is being installed: the application is loaded to find its settings, and needs no rules.
WITHOUT_RULES: ContextVar[bool] = ContextVar("bsguard.managed.without_rules", default=False)

_NOTE: Final = "current.json"
_NOTE_BYTES_MAX: Final = 4096
_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Installed:
    """The rule set in use, as the note tells."""

    version: str
    #: Name of its folder, beside the note.
    name: str
    #: SHA-256 of the archive that it came from; empty if it came from a folder.
    sha256: str
    #: Where it came from: an address, or a path.
    source: str
    #: When, as an ISO time in UTC.
    installed: str


def crs_folder(state_dir: Path) -> Path:
    """The folder that holds the versions."""
    return state_dir / "crs"


def installed_in(state_dir: Path) -> tuple[Installed, Path] | None:
    """What is in use, and its folder; None where nothing is installed, or the note cannot be read."""
    folder = crs_folder(state_dir)
    try:
        with (folder / _NOTE).open("rb") as file:
            facts = json.loads(file.read(_NOTE_BYTES_MAX))
        found = Installed(**{key: str(facts[key]) for key in Installed.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    path = folder / found.name
    return (found, path) if _NAME.fullmatch(found.name) and path.is_dir() else None


def put_in_use(state_dir: Path, installed: Installed) -> None:
    """Write the note; raises :class:`~bsguard.core.errors.StateUnusable`."""
    folder = crs_folder(state_dir)
    try:
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=f"{_NOTE}.", delete=False) as file:
            json.dump(asdict(installed), file)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(folder / _NOTE)
    except OSError as error:
        raise StateUnusable(f"{folder} cannot be written ({error.strerror})") from None
