"""Exceptions that bsguard raises. One base, few children, facts as attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bsguard.core.codes import Code


class BsguardError(Exception):
    """Base of every exception that bsguard raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the settings: a stable id, the key, and what to do about it.

    The value itself is never part of a problem: it may be a secret.
    """

    #: Stable identifier, such as ``bsguard.E002``; documented in ``docs/reference/settings.md``.
    id: str
    #: The setting as the operator wrote it, such as ``BSGUARD_PROTOCOL_METHODS``.
    key: str
    #: What was wanted, what kind of value was found, and the remedy.
    message: str

    def __str__(self) -> str:
        return f"{self.id} {self.key}: {self.message}"


class ConfigError(BsguardError):
    """The settings cannot be used; every problem found is listed, not just the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        #: All problems, in the order in which the settings were read.
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"{count} {'problem' if count == 1 else 'problems'} in the bsguard settings:{lines}")


class StateUnusable(BsguardError):
    """The state directory cannot hold private state; says which folder and why."""


class BodyError(BsguardError):
    """The request body cannot be judged: too large, broken in transfer, or wrongly framed."""

    def __init__(self, rule: str, code: Code, reason: str) -> None:
        #: The rule that the refusal is reported under.
        self.rule = rule
        #: What the client is told.
        self.code = code
        #: What the operator is told.
        self.reason = reason
        super().__init__(reason)
