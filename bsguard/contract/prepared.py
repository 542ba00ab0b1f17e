"""Loads and checks a document once, and keeps the result for the next start.

What is kept is the loaded, checked document as JSON: data only, in the private state directory, under the digest of
the file that it was made from. A start that finds it neither parses YAML nor imports ``openapi-spec-validator`` or
``openapi-core``. The plan is compiled from it anew, which takes milliseconds, so that no stored code is ever trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bsguard.contract.load import Document, DocumentError, DocumentProblem, load

if TYPE_CHECKING:
    from pathlib import Path

#: Changes whenever loading or checking changes, so that an upgrade does both anew.
FORMAT: Final = 2
#: Kept documents; the oldest go.
DOCUMENTS_KEPT_COUNT_MAX: Final = 50
_PREFIX: Final = "contract-"


def prepare_document(path: Path, state_dir: Path | None, *, strict: bool) -> tuple[Document, tuple[str, ...]]:
    """The checked document, and what is wrong with it that *strict* would not have let pass.

    Raises :class:`~bsguard.contract.load.DocumentError`. Without *state_dir* nothing is kept.
    """
    kept = None if state_dir is None else _kept(path, state_dir)
    if kept is None:
        from bsguard.contract.check import check

        document = load(path)
        problems = check(document)
        if state_dir is not None:
            _keep(document, problems, path, state_dir)
    else:
        document, problems = kept
    if problems and strict:
        raise DocumentError(problems)
    return document, tuple(str(problem) for problem in problems)


def _place(path: Path, state_dir: Path) -> Path:
    digest = hashlib.sha256(f"{FORMAT} {path.name}\0".encode() + path.read_bytes())
    return state_dir / f"{_PREFIX}{digest.hexdigest()[:32]}.json"


def _kept(path: Path, state_dir: Path) -> tuple[Document, list[DocumentProblem]] | None:
    """What is kept for the file as it is now, and for every file that it refers to; None if anything differs."""
    try:
        place = _place(path, state_dir)
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            found: Any = json.loads(file.read())
        folder = path.resolve().parent
        files = tuple((str(name), str(digest)) for name, digest in found["files"])
        if any(hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest for name, digest in files):
            return None
        problems = [DocumentProblem(*map(str, one)) for one in found["problems"]]
        return Document(path.name, dict(found["data"]), files), problems
    except (OSError, ValueError, KeyError, TypeError):  # not there, unreadable or damaged: made anew
        return None


def _keep(document: Document, problems: list[DocumentProblem], path: Path, state_dir: Path) -> None:
    """Write it whole or not at all; a folder that cannot be written only costs the next start some time."""
    told = [(one.file, one.pointer, one.message, one.remedy) for one in problems]
    with suppress(OSError, ValueError, TypeError):  # data that JSON does not know, such as a YAML set
        text = json.dumps({"files": document.files, "problems": told, "data": document.data})
        place = _place(path, state_dir)
        fresh = place.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            fresh.replace(place)
        finally:
            fresh.unlink(missing_ok=True)
        kept = sorted(state_dir.glob(f"{_PREFIX}*.json"), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in kept[DOCUMENTS_KEPT_COUNT_MAX:]:
            old.unlink(missing_ok=True)
