"""The library's front: rules from files or text, and what they make of a request."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bsguard.seclang import parser
from bsguard.seclang.bodies import Limits
from bsguard.seclang.compiler import Shortcuts, compile_program
from bsguard.seclang.courses import settle, settled_ids
from bsguard.seclang.engine import Engine
from bsguard.seclang.folding import fold
from bsguard.seclang.prefilter.build import build
from bsguard.seclang.prefilter.glance import Glance
from bsguard.seclang.prefilter.scanners import available
from bsguard.seclang.request import NO_EXCLUSIONS, Request, Response, text_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bsguard.seclang.model import Program
    from bsguard.seclang.prefilter.scanners import Tier
    from bsguard.seclang.request import Exclusions, Inspection


class RuleSet:
    """Rules, ready to judge requests. Immutable; one object serves all threads."""

    def __init__(self, program: Program, *, limits: Limits | None = None, tier: Tier | None = None) -> None:
        #: The rules as data.
        self.program = program
        self.limits = limits or Limits()
        #: What finds the rules that may match.
        self.tier = tier or available()
        folded = fold(program)
        plan = compile_program(folded.program, folded.initial)
        settled, courses = settle(plan)
        prefilter = build(plan, settled, self.tier)
        shortcuts = None if prefilter is None else Shortcuts(prefilter, settled, settled_ids(plan, settled), courses)
        self._plan = dataclasses.replace(plan, shortcuts=shortcuts)
        #: What tells requests that no rule can match; None where these rules leave no such request.
        self.glance = Glance.of(self._plan, program.options, self.limits)

    @classmethod
    def load(cls, paths: Iterable[str | Path], *, limits: Limits | None = None) -> RuleSet:
        """Load rule files; a path may be a pattern such as ``rules/*.conf``, whose files are read in order of name.

        Raises :class:`~bsguard.seclang.errors.RuleError` with every problem of every file; nothing is loaded half.
        """
        return cls(parser.load(paths), limits=limits)

    @classmethod
    def parse(cls, text: str, *, limits: Limits | None = None) -> RuleSet:
        """Rules from *text*. Raises :class:`~bsguard.seclang.errors.RuleError`."""
        return cls(parser.parse(text), limits=limits)

    def inspect(
        self,
        *,
        method: str = "GET",
        target: str | bytes = "/",
        headers: Iterable[tuple[str | bytes, str | bytes]] = (),
        body: bytes = b"",
        protocol: str = "HTTP/1.1",
        client: str = "127.0.0.1",
        response: Response | None = None,
    ) -> Inspection:
        """Judge one request and, where given, its response. Text is taken as Latin-1, as WSGI has it.

        Never raises for what a request holds.
        """
        request = Request(
            method=text_bytes(method),
            target=text_bytes(target),
            headers=tuple((text_bytes(name), text_bytes(value)) for name, value in headers),
            body=body,
            protocol=text_bytes(protocol),
            client=text_bytes(client),
        )
        return self.judge(request, response)

    def judge(self, request: Request, response: Response | None = None) -> Inspection:
        """The same for a request that is already in bytes."""
        return self.begin(request).run(response)

    def begin(self, request: Request, exclusions: Exclusions = NO_EXCLUSIONS, found: int | None = None) -> Engine:
        """The rules at work on one request, to be run phase by phase as its parts arrive.

        *found* is what a glance at its head has found, so that nobody looks there again.
        """
        engine = Engine(self._plan, self.program.options, request, self.limits, exclusions)
        if found is not None:
            engine.transaction.found_before(found)
        return engine

    @property
    def unfiltered(self) -> dict[int, str]:
        """Rules that requests wait for although nothing in them was found, by id, each with the reason."""
        shortcuts = self._plan.shortcuts
        if shortcuts is None:
            return {rule.id: f"tier {self.tier} evaluates every rule" for rule in self.program.rules}
        return dict(shortcuts.prefilter.unfiltered)

    def looks_at(self, phase: int) -> bool:
        """Whether there are rules of *phase*."""
        return bool(self._plan.phases[phase])
