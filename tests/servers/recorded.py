"""Raw requests recorded elsewhere: the notation of the files, and where they are.

The files are not part of the repository. They are looked for in `BSGUARD_TEST_DATA`, else in `shared/data` beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("BSGUARD_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "http"


REQUEST_LINE = re.compile(rb"^((?:GET|POST|PUT) \S+ HTTP/1\.[01]\r\n)", re.MULTILINE)


@dataclass(frozen=True)
class Recorded:
    """One file: the bytes for the wire and the facts that lie beside it."""

    name: str
    raw: bytes
    facts: dict[str, Any]

    @property
    def hosted(self) -> bytes:
        """The bytes with a Host in each request, where the file has none: else that hides what the file is about."""
        if b"\nhost:" in self.raw.lower():
            return self.raw

        return REQUEST_LINE.sub(rb"\1Host: example.com\r\n", self.raw)


def load(kind: str) -> list[Recorded]:
    """All files of a kind, "valid" or "invalid", by name."""
    found = []
    for path in sorted((FOLDER / kind).glob("*.http")):
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        raw = wire(path.read_bytes())
        assert hashlib.sha256(raw).hexdigest() == facts["wire_sha256"], path
        found.append(Recorded(f"{kind}/{path.stem}", raw, facts))

    return found


def wire(text: bytes) -> bytes:
    """The bytes that the notation stands for: line feeds are for the eye, escapes for what the eye cannot see."""
    raw = (
        text.replace(b"\n", b"")
        .replace(rb"\r\n", b"\r\n")
        .replace(rb"\0", b"\0")
        .replace(rb"\n", b"\n")
        .replace(rb"\t", b"\t")
    )
    first, *rest = raw.split(rb"\x")

    return first + b"".join(bytes([int(piece[:2], 16)]) + piece[2:] for piece in rest)
