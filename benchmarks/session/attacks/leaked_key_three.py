"""A key that was stolen: one thief with exactly three networks, as the research's pilot has it."""

from benchmarks.session.theft import Theft
from benchmarks.session.traffic import Range


class LeakedKeyThree(Theft):
    """Few enough to be an owner's laptop, phone and server."""

    name = "leaked_key_three"
    bar = 0.99
    ranges = {"networks": Range(3, 3), "hours": Range(0.5, 8.0), "calls": Range(8, 40), "agents": Range(1, 2)}
