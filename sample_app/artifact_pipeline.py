"""What the lifecycle asks of the artifact pipeline, and every answer that it can get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sample_app.attempts import Attempt
    from sample_app.generations import Generation
    from sample_app.providers.port import Output


@dataclass(frozen=True, slots=True)
class Stored:
    """One file in the storage, as it was sniffed, counted and hashed on its way there."""

    key: str
    media_type: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Winner:
    """The manifest: which attempt's files are the generation's. It is created once and never changes."""

    number: int
    files: tuple[Stored, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The outputs are stored. ``winner`` is another attempt's if that one was first."""

    winner: Winner


@dataclass(frozen=True, slots=True)
class Unusable:
    """Definite: the outputs are not what was asked for, or lie where nothing is fetched from."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The outputs cannot be fetched or stored now. Try again."""

    reason: str


Keeping: TypeAlias = Kept | Unusable | Unavailable


class FileRefused(Exception):
    """An upload is not what it is declared to be, or is too large. ``too_large`` tells which."""

    def __init__(self, *, too_large: bool = False) -> None:
        """Remember why."""
        self.too_large = too_large
        super().__init__("too large" if too_large else "not of the declared type")


class ArtifactPipeline(Protocol):
    """Fetches what providers have made, and keeps what accounts upload. Shared by threads."""

    def keep(self, generation: Generation, attempt: Attempt, outputs: Sequence[Output], output_format: str) -> Keeping:
        """Fetch and store *outputs*, then try to become the winner.

        Doing it again for the same attempt is harmless. Raises for nothing that a provider or the network does.
        """

    def winner(self, account_id: str, generation_id: str) -> Winner | None:
        """The winner that the storage has, whatever the database thinks."""

    def put(self, key: str, chunks: Iterable[bytes], media_type: str, bytes_max: int) -> Stored:
        """Store an upload under a new key.

        Raises:
            FileRefused: if the bytes are not of *media_type*, or too many.
        """

    def open(self, key: str) -> Iterator[bytes]:
        """The bytes of a stored file. LookupError if there is none."""

    def link(self, key: str, seconds: int) -> str | None:
        """An address of the storage's own that serves the file for so long; None where it has none."""

    def delete(self, key: str) -> None:
        """Remove a file; no matter if it is gone."""
