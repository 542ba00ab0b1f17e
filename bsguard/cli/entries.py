"""What commands about entries of the overrides table have in common: durations, moments, who typed."""

from __future__ import annotations

import datetime
import getpass
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from bsguard.cli.source import source_of
from bsguard.core.errors import BsguardError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.standard import Guard

_DURATION: Final = re.compile(r"(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """A length of time such as ``30m``; seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        match = _DURATION.fullmatch(str(value))
        if match is None or not int(match[1]):
            self.fail("wanted a duration such as 90s, 30m, 12h or 7d", param, ctx)
        return int(match[1]) * _SECONDS[match[2]]


@contextmanager
def opened_guard(context: click.Context) -> Iterator[Guard]:
    """The guard, its tables closed afterwards; what is wrong with them is the command's message."""
    try:
        guard = source_of(context).guard()
        yield guard
        if guard.store is not None:
            guard.store.flush()
        if guard.counters is not None:
            guard.counters.close()
    except BsguardError as error:
        raise click.ClickException(str(error)) from None


def author() -> str:
    """Who types; a container may have no name for its user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def moment(seconds: float) -> str:
    """A time of day in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
