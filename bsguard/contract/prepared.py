"""Loads and checks a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bsguard.contract.check import check
from bsguard.contract.load import Document, DocumentError, load

if TYPE_CHECKING:
    from pathlib import Path


def prepare_document(path: Path, state_dir: Path | None, *, strict: bool) -> tuple[Document, tuple[str, ...]]:
    """The checked document, and what is wrong with it that *strict* would not have let pass."""
    document = load(path)
    problems = check(document)
    if problems and strict:
        raise DocumentError(problems)
    return document, tuple(str(problem) for problem in problems)
