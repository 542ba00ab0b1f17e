"""A key that was published: within hours it is used from many networks that have nothing to do with its owner."""

from benchmarks.session.theft import Theft
from benchmarks.session.traffic import Range


class LeakedKeyMany(Theft):
    """The owner's traffic goes on."""

    name = "leaked_key_many"
    bar = 0.99
    ranges = {
        "networks": Range(8, 40, log=True),
        "hours": Range(1.0, 8.0),
        "calls": Range(3, 15),
        "agents": Range(1, 3),
    }
