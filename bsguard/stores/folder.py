"""The state directory: private to the user that runs the workers, or not used at all.

What lies here decides who is refused and holds a secret, so a folder that others could write to is worse than none.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from bsguard.core.errors import StateUnusable

_FOLDER_MODE: Final = 0o700
_SECRET_FILE: Final = "secret.key"
_SECRET_BYTES: Final = 32
#: Names of what bsguard itself keeps in the folder.
_OURS: Final = re.compile(
    r"events\.|overrides\.|counters\.|table\.|limits\.|contract-|crs$|secret\.key|\.gitignore$|\.probe-"
)


def open_folder(path: Path, *, setting: str = "BSGUARD_STATE_DIR") -> Path:
    """Make or check the folder; raises :class:`~bsguard.core.errors.StateUnusable` with the remedy.

    The folder must be a real one (no link), belong to this user, be closed to others and be writable. *setting* is
    the one that named it, for the messages.
    """
    path = path.expanduser().absolute()  # a later chdir must not move it
    try:
        made = not path.exists()
        path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        facts = os.lstat(path)
    except (OSError, ValueError) as error:  # ValueError: a name that no folder can have
        reason = getattr(error, "strerror", None) or error
        raise StateUnusable(f"{path} cannot be made ({reason}); set {setting}") from None
    if not stat.S_ISDIR(facts.st_mode):
        raise StateUnusable(f"{path} is a link or a file; {setting} must name a folder itself")
    if facts.st_uid != os.geteuid():
        raise StateUnusable(f"{path} belongs to another user; give it to the one that runs the workers")
    try:
        ours = made or all(_OURS.match(entry.name) for entry in path.iterdir())
        if stat.S_IMODE(facts.st_mode) & 0o077:
            if not ours:  # somebody else lives here, and closing it might lock them out
                raise StateUnusable(f"{path} is open to others and holds other files; name a folder of its own")
            path.chmod(_FOLDER_MODE)
        if ours:
            (path / ".gitignore").write_text("*\n")  # keeps the secret out of git
        with tempfile.NamedTemporaryFile(dir=path, prefix=".probe-") as probe:
            probe.write(b"x")
            probe.flush()
    except OSError as error:
        raise StateUnusable(f"{path} cannot be written ({error.strerror})") from None
    return path


def keep_secret(folder: Path, secret: str) -> None:
    """Keep *secret* in place of the one that is kept; raises :class:`~bsguard.core.errors.StateUnusable`."""
    path = folder / _SECRET_FILE
    try:
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=f"{_SECRET_FILE}.", delete=False) as file:
            file.write(secret)
        Path(file.name).replace(path)
    except OSError as error:
        raise StateUnusable(f"{path} cannot be kept ({error.strerror})") from None


def kept_secret(folder: Path) -> str:
    """The secret kept in *folder*, made on first use; all workers get the same one.

    Raises :class:`~bsguard.core.errors.StateUnusable`.
    """
    path = folder / _SECRET_FILE
    try:
        if not path.exists():
            fresh = folder / f"{_SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
            try:
                descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(secrets.token_hex(_SECRET_BYTES))
                with suppress(FileExistsError):
                    os.link(fresh, path)  # whoever is first wins, and nobody reads a half-written file
            finally:
                fresh.unlink(missing_ok=True)
        secret = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise StateUnusable(f"{path} cannot be kept ({error.strerror})") from None
    if len(secret) < _SECRET_BYTES or not secret.isalnum():
        raise StateUnusable(f"{path} is damaged; delete it, and a new one is made")
    return secret
