"""The rules as the layer runs them in an application that has said which of its fields are free text."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from bsguard.seclang import RuleSet
from bsguard.waf.catalogue import program
from bsguard.waf.profiles import Profile

if TYPE_CHECKING:
    from bsguard.seclang import Request
    from bsguard.seclang.engine import Engine

#: What the fields for long texts of the benign corpus are declared as.
FREE_TEXT = ("comment", "generation_prompt", "description", "*.comment")


@lru_cache
def rules() -> RuleSet:
    """Our rules."""
    return RuleSet(program())


@lru_cache
def _profiles() -> tuple[tuple[Profile, frozenset[int]], ...]:
    found = [Profile.parse({"parameter": name, "profile": "free_text"}) for name in FREE_TEXT]
    numbers = frozenset(rule.id for rule in program().rules if "not-free-text" in rule.tags)
    return tuple((one, numbers) for one in found)


def judged(request: Request, *, declared: bool = True) -> Engine:
    """What the rules make of *request*; without *declared*, as if no field were declared as free text."""
    glance = rules().glance
    engine = rules().begin(request, found=None if glance is None else glance.of_head(request))
    if declared:
        for profile, numbers in _profiles():
            engine.transaction.exclusions.append((numbers, profile.parameter.collection, profile.fits))
    engine.head()
    engine.body(request.body)
    return engine


def judge(request: Request) -> bool:
    """Whether *request* is refused."""
    return not judged(request).verdict.allowed


def judge_undeclared(request: Request) -> bool:
    """The same where nothing is declared."""
    return not judged(request, declared=False).verdict.allowed


def reasons(request: Request) -> list[str]:
    """Which rules match, and on what."""
    engine = judged(request)
    found = [f"{match.rule_id} {match.found[0].name} {match.found[0].value[:80]!r}" for match in engine.matches]
    unread = engine.transaction.unread
    return found or ([] if unread is None else [unread.error])
