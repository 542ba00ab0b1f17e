"""Everything that a simulated provider can be told to do wrong: one visible table.

A fault is chosen by words in the prompt, ``simulate:<provider>:<fault>`` with ``any`` for all providers, or by a rule
that is given to the control address. The first that fits counts.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

PROMPT: Final = re.compile(r"simulate:(any|replicate|fal|openrouter):([a-z_]+)", re.ASCII)


class Fault(StrEnum):
    """One fault; its docstring is a row of the table in the documentation."""

    NONE = "none"
    """All goes well."""
    SLOW = "slow"
    """The work takes much longer than usual, then succeeds."""
    STUCK = "stuck"
    """The work never ends."""
    REFUSES = "refuses"
    """The order is refused as invalid. Nothing runs."""
    OVERLOADED = "overloaded"
    """The order is refused for now. Nothing runs."""
    SERVER_ERROR = "server_error"
    """The order is answered with 500, and nothing runs."""
    SERVER_ERROR_AFTER_WORK = "server_error_after_work"
    """The order is answered with 500, but it was taken and runs."""
    TIMES_OUT_AFTER_WORK = "times_out_after_work"
    """The order is not answered in time, but it was taken and runs."""
    HANGS_UP_AFTER_WORK = "hangs_up_after_work"
    """The connection ends without an answer, but the order was taken and runs."""
    NO_ID = "no_id"
    """The order is answered with success, but without an id. It runs."""
    GARBAGE = "garbage"
    """The order is answered with success and something that is no JSON. It runs."""
    FAILS = "fails"
    """The work is begun and fails; the provider says so."""
    FLAGGED = "flagged"
    """The work is begun and refused for what it would show; the provider says so."""
    POLL_ERRORS = "poll_errors"
    """The first questions about the order are answered with 500."""
    FORGETS = "forgets"
    """The provider does not know the order any more once it has ended."""
    WEBHOOK_LATE = "webhook_late"
    """The report comes long after the work is done."""
    WEBHOOK_NEVER = "webhook_never"
    """No report comes."""
    WEBHOOK_TWICE = "webhook_twice"
    """The report comes twice."""
    WEBHOOK_OUT_OF_ORDER = "webhook_out_of_order"
    """The report of the end comes before that of the beginning. Where only the end is reported, it comes twice."""
    WEBHOOK_OVERTAKES = "webhook_overtakes"
    """The report of the end comes before the order is answered."""
    WEBHOOK_FORGED = "webhook_forged"
    """Somebody else reports a failure first, signed with another key; then the true report comes."""
    SUCCESS_AFTER_CANCEL = "success_after_cancel"
    """A cancellation is taken, but the work ends with success and is charged."""
    WRONG_CONTENT = "wrong_content"
    """The output is a web page."""
    WRONG_COUNT = "wrong_count"
    """There are fewer outputs than were ordered."""
    OUTPUT_GONE = "output_gone"
    """The output's address answers 404."""
    OUTPUT_ERRORS = "output_errors"
    """The output's address answers 503 at first."""
    OUTPUT_REDIRECTS = "output_redirects"
    """The output's address redirects to a cloud's metadata service."""
    OUTPUT_ELSEWHERE = "output_elsewhere"
    """The output's address is a cloud's metadata service."""
    OUTPUT_CUT = "output_cut"
    """The output ends before its announced length."""
    OUTPUT_ENDLESS = "output_endless"
    """The output never ends."""

    @property
    def runs(self) -> bool:
        """Whether the order is taken, and so may be charged."""
        return self not in (Fault.REFUSES, Fault.OVERLOADED, Fault.SERVER_ERROR)

    @property
    def succeeds(self) -> bool:
        """Whether the work ends with success at the provider, if nobody cancels it."""
        return self.runs and self not in (Fault.STUCK, Fault.FAILS, Fault.FLAGGED)


def told_in(prompt: str, provider: str) -> Fault | None:
    """The fault that a prompt asks this provider for."""
    for asked, name in PROMPT.findall(prompt):
        if asked in ("any", provider) and name in list(Fault):
            return Fault(name)
    return None
