"""The rules of the session layer, and the signals that they go by."""

from __future__ import annotations

from typing import Final, Literal

#: What the ids of sequence rules begin with; the rest is the rule's name.
SEQUENCES: Final = "session.sequence."

#: What a session is looked at for, in the order of ``BSGUARD_SESSION_ACTIONS``.
Signal = Literal["volume", "enumeration", "probing", "leak", "order"]
SIGNALS: Final[tuple[Signal, ...]] = ("volume", "enumeration", "probing", "leak", "order")

RULES: Final = {
    "session.throttled": "The session's conduct was found unusual, and `BSGUARD_SESSION_ACTIONS` slows it down to one "
    "request in `BSGUARD_SESSION_THROTTLE_SECONDS`.",
    "session.denied": "The session's conduct was found unusual, and `BSGUARD_SESSION_ACTIONS` denies it for a while.",
    SEQUENCES + "*": "A call out of order, or too soon after the last, by a rule of `BSGUARD_SESSION_SEQUENCES` or one "
    "that was confirmed with `flask bsguard sessions sequences confirm`; its id ends with its name.",
}
