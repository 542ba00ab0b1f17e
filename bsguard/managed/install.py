"""Takes a Core Rule Set into the state directory: from the official release, an archive, or a folder.

An archive is opened only when its SHA-256 is the one that is known or given, and even then nothing in it is trusted:
plain files of bounded size and number, below the folder, and of those only what a rule set consists of. What was
unpacked is read as rules before it replaces anything.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import secrets
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from bsguard.core.errors import BsguardError
from bsguard.managed.config import ManagedConfig
from bsguard.managed.folder import Installed, crs_folder, put_in_use
from bsguard.managed.sources import read_program, rule_files
from bsguard.seclang.errors import RuleError
from bsguard.stores.folder import open_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    #: Called with how many bytes have come, and how many there are, 0 if that is not known.
    Progress = Callable[[int, int], None]

#: Where the releases are.
RELEASE_URL: Final = (
    "https://github.com/coreruleset/coreruleset/releases/download/v{version}/coreruleset-{version}-minimal.tar.gz"
)
#: SHA-256 of the archives of releases, each as several projects have pinned it independently of one another.
DIGESTS: Final = {
    "4.28.0": "fca67fe46adafeeee61b9d1a03f38c25b9b2a799577df03fa51d99589e6d03b9",
    "4.29.0": "1aa1c5c8fc29e532d35293bcea36bf72de61db8f6ed4716a0f91ab14552b7fed",
    "4.30.0": "3d678a41fd5aade34760127fef5dd64fd7a77848913fc0f70dde0cf467c94427",
}
#: What is installed where no version is named: the release that our tests run with.
DEFAULT_VERSION: Final = "4.28.0"
_VERSION: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){1,3}")
_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_COMPONENT: Final = re.compile(r"OWASP_CRS/([0-9A-Za-z.-]{1,32})")

ARCHIVE_BYTES_MAX: Final = 32 * 1024 * 1024
_MEMBERS_MAX: Final = 20_000
_MEMBER_BYTES_MAX: Final = 8 * 1024 * 1024
_UNPACKED_BYTES_MAX: Final = 64 * 1024 * 1024
_FETCH_SECONDS: Final = 30
_PIECE_BYTES: Final = 64 * 1024

#: What a rule set consists of, below the folder that an archive has around it.
_WANTED: Final = re.compile(
    r"(?:rules/[^/]+\.(?:conf|data|conf\.example)|plugins/[^/]+\.(?:conf|data)|crs-setup\.conf(?:\.example)?|LICENSE)"
)


class InstallError(BsguardError):
    """A rule set cannot be installed; says why, and what to do. What was in use before is in use still."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The bytes of an archive, its digest checked."""

    data: bytes
    sha256: str
    source: str


def fetch(version: str, digest: str | None, progress: Progress) -> Archive:
    """The official release *version*, if it has *digest*, or the one that is known; raises :class:`InstallError`."""
    if not _VERSION.fullmatch(version):
        raise InstallError(f"wanted a version such as {DEFAULT_VERSION}")
    if digest is None and version not in DIGESTS:
        raise InstallError(f"the digest of {version} is not known here; give --digest, as its release page states it")
    wanted = {DIGESTS[version] if digest is None else _digest_of(digest)}  # before anything is fetched
    url = RELEASE_URL.format(version=version)
    try:
        opener = urllib.request.build_opener(_NoDowngrade)
        with opener.open(url, timeout=_FETCH_SECONDS) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            data = _read(answer, size, progress)
    except (OSError, ValueError) as error:  # URLError and time-outs are OSErrors
        reason = getattr(error, "reason", None) or error
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise InstallError(f"{url} cannot be fetched ({reason}); fetch it by hand, and give --from FILE") from None
    return _checked(data, wanted, url)


def archive_at(path: Path, digest: str | None) -> Archive:
    """An archive that lies here already, with *digest* or any that is known; raises :class:`InstallError`."""
    wanted = set(DIGESTS.values()) if digest is None else {_digest_of(digest)}
    try:
        with path.open("rb") as file:
            data = _read(file, path.stat().st_size, lambda _done, _size: None)
    except OSError as error:
        raise InstallError(f"{path} cannot be read ({error.strerror})") from None
    return _checked(data, wanted, str(path))


def install_archive(state_dir: Path, archive: Archive, now: str) -> Installed:
    """Unpack *archive* and put it in use; raises :class:`InstallError`, and then nothing has changed."""
    with _workplace(state_dir) as folder:
        _unpack(archive.data, folder)
        return _put_in_use(state_dir, folder, archive.sha256, archive.source, now)


def install_folder(state_dir: Path, source: Path, now: str) -> Installed:
    """Copy the rule set in *source* and put it in use; raises :class:`InstallError`, and then nothing has changed."""
    with _workplace(state_dir) as folder:
        names = [path.relative_to(source) for path in sorted(source.glob("*")) + sorted(source.glob("*/*"))]
        wanted = [name for name in names if _WANTED.fullmatch(name.as_posix()) and (source / name).is_file()]
        if len(wanted) > _MEMBERS_MAX or sum((source / name).stat().st_size for name in wanted) > _UNPACKED_BYTES_MAX:
            raise InstallError(f"{source} holds more than a rule set would")
        for name in wanted:
            _write(folder, name.as_posix(), (source / name).read_bytes())
        return _put_in_use(state_dir, folder, "", str(source), now)


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only as far as the connection stays as private as it was."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> urllib.request.Request | None:
        scheme = newurl.partition(":")[0].lower()
        if scheme != req.type and scheme != "https":
            fp.close()
            raise urllib.error.URLError(f"it leads on to {scheme}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _read(file: IO[bytes], size: int, progress: Progress) -> bytes:
    """All of *file*, if it is not larger than an archive may be."""
    data = io.BytesIO()
    while True:
        piece = file.read(_PIECE_BYTES)
        if not piece:
            break
        data.write(piece)
        progress(data.tell(), size)
        if data.tell() > ARCHIVE_BYTES_MAX:
            raise InstallError(f"the archive is larger than {ARCHIVE_BYTES_MAX // (1024 * 1024)} MiB")
    if size and data.tell() < size:
        raise InstallError(f"the archive broke off after {data.tell()} of {size} bytes; try again")
    return data.getvalue()


def _digest_of(digest: str) -> str:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise InstallError("wanted a SHA-256 of 64 hexadecimal digits, with or without sha256: in front")
    return match[1].lower()


def _checked(data: bytes, wanted: set[str], source: str) -> Archive:
    found = hashlib.sha256(data).hexdigest()
    if found not in wanted:
        raise InstallError(
            f"{source} has the SHA-256 {found}, which is not one that is known or given; it is not opened. "
            "If its release page states the same, give it with --digest"
        )
    return Archive(data, found, source)


@contextmanager
def _workplace(state_dir: Path) -> Iterator[Path]:
    """A fresh folder beside the installed versions, for one who installs at a time; gone if it was not put in use."""
    root = crs_folder(open_folder(state_dir))
    root.mkdir(mode=0o700, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
        try:
            yield folder
        except OSError as error:
            raise InstallError(f"{root} cannot be written ({error.strerror})") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _unpack(data: bytes, folder: Path) -> None:
    """Write what belongs to a rule set into *folder*; raises :class:`InstallError` for anything out of place."""
    left = _UNPACKED_BYTES_MAX
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for number, member in enumerate(archive):
                if number >= _MEMBERS_MAX:
                    raise InstallError(f"the archive has more than {_MEMBERS_MAX} members")
                name = _name_of(member)
                left -= member.size
                if member.size > _MEMBER_BYTES_MAX or left < 0:
                    raise InstallError("the archive holds more than a rule set would")
                if name in seen:
                    raise InstallError("the archive has two members of one name")
                if not member.isfile() or not _WANTED.fullmatch(name):
                    continue
                seen.add(name)
                tarfile.data_filter(member, str(folder))  # the standard library's own opinion, which raises
                file = archive.extractfile(member)
                _write(folder, name, file.read(member.size) if file is not None else b"")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise InstallError(f"the archive cannot be unpacked ({type(error).__name__})") from None


def _name_of(member: tarfile.TarInfo) -> str:
    """The name below the folder that archives have around everything; raises for what no release holds."""
    if not (member.isfile() or member.isdir()):
        raise InstallError("the archive holds a link, a device or another thing that is no plain file")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
        raise InstallError("the archive holds a name that leads out of its folder")
    return PurePosixPath(*path.parts[1:]).as_posix()


def _write(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)


def _put_in_use(state_dir: Path, folder: Path, sha256: str, source: str, now: str) -> Installed:
    """Make sure that *folder* holds rules that can be read, then let it take the place of what was in use."""
    if not rule_files(folder):
        raise InstallError("it holds no rules: wanted files such as rules/REQUEST-901-INITIALIZATION.conf")
    try:
        program = read_program(ManagedConfig(), folder)
    except RuleError as error:
        raise InstallError(f"its rules cannot be used: {error}") from None
    versions = (_COMPONENT.fullmatch(rule.version) for rule in program.rules)
    version = next((match[1] for match in versions if match), "unknown")
    root = crs_folder(state_dir)
    installed = Installed(version, f"{version}-{secrets.token_hex(4)}", sha256, source, now)
    os.sync()
    folder.rename(root / installed.name)
    put_in_use(state_dir, installed)
    for old in root.iterdir():
        if old.is_dir() and old.name != installed.name:
            with suppress(OSError):
                shutil.rmtree(old)
    return installed
