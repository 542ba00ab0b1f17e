"""How a judge fares on the corpora: misses and false alarms by class. Run it to see those of the rules as they are.

python -m tests.waf.corpus.score [--held-out] [--kind sql] [--benign] [--every 7] [--show 40]
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from tests.waf.corpus.attacks import attacks
from tests.waf.corpus.benign import benign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bsguard.seclang import Request


class Sample(Protocol):
    """What both corpora are made of."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def request(self) -> Request: ...
    @property
    def held_out(self) -> bool: ...


@dataclass
class Score:
    """Counts by class, and the samples that were judged wrongly."""

    total: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[Sample] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How much of all was refused."""
        return self.refused.total() / max(1, self.total.total())


def score(samples: Iterable[Sample], judge: Callable[[Request], bool], *, hostile: bool) -> Score:
    """Ask *judge*, which says whether it refuses, about every sample."""
    found = Score()
    for sample in samples:
        refused = judge(sample.request)
        found.total[sample.kind] += 1
        found.refused[sample.kind] += refused
        if refused != hostile:
            found.wrong.append(sample)
    return found


def main() -> None:
    """Print a table and the first wrong judgements."""
    from tests.waf.judge import judge, reasons

    parser = argparse.ArgumentParser()
    parser.add_argument("--held-out", action="store_true", help="judge the part that is held out, and list nothing")
    parser.add_argument("--benign", action="store_true")
    parser.add_argument("--kind", default="")
    parser.add_argument("--encoding", default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--show", type=int, default=40)
    given = parser.parse_args()
    samples: Iterable[Sample] = benign() if given.benign else attacks()
    samples = (one for one in samples if one.held_out == given.held_out and (not given.kind or one.kind == given.kind))
    if given.encoding:
        samples = (one for one in samples if getattr(one, "encoding", "") == given.encoding)
    result = score(islice(samples, 0, None, given.every), judge, hostile=not given.benign)
    for kind, total in result.total.items():
        print(f"{kind:16} {result.refused[kind]:6} of {total:6} refused, {result.refused[kind] / total:7.2%}")
    print(f"{'all':16} {result.refused.total():6} of {result.total.total():6} refused, {result.share:7.2%}")
    if not given.held_out:
        for sample in result.wrong[: given.show]:
            print("  ", sample.name, reasons(sample.request))


if __name__ == "__main__":
    main()
