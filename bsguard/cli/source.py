"""Where a command finds the guard: in the Flask application, or in a settings file."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  a dataclass says it
from typing import TYPE_CHECKING

from flask.cli import ScriptInfo

from bsguard.core.config import UNREADABLE
from bsguard.core.errors import ConfigError, Problem
from bsguard.extension import PREFIX, guard_of
from bsguard.standard import DEFAULT_STATE_DIR, Guard, Plan, guard, read_plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The settings file that ``python -m bsguard --config`` names."""

    path: Path


@dataclass(frozen=True, slots=True)
class Source:
    """What a command works on."""

    plan: Plan
    #: None when the guard is configured by a file.
    flask: Flask | None

    def guard(self) -> Guard:
        """The guard itself, with its tables; one made for the command where a file configures it."""
        return guard(_nothing, self.plan) if self.flask is None else guard_of(self.flask)

    @property
    def state_dir(self) -> Path:
        """The folder that holds events and overrides."""
        return self.plan.settings.state_dir or DEFAULT_STATE_DIR


def _nothing(_environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
    """The application of a guard that serves no requests."""
    return ()


def source_of(context: click.Context) -> Source:
    """The guard that a command is about; raises ConfigError."""
    file = context.find_object(ConfigFile)
    if file is not None:
        return Source(read_file(file.path), None)
    app = context.ensure_object(ScriptInfo).load_app()
    return Source(guard_of(app).plan, app)


def read_file(path: Path) -> Plan:
    """Read settings from TOML (``.toml``) or JSON; raises ConfigError, also for a file that is neither."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (ValueError, OSError, RecursionError) as error:
        message = f"cannot be read as {'TOML' if path.suffix == '.toml' else 'JSON'}: {error}"
        raise ConfigError([Problem(UNREADABLE, str(path), message)]) from None
    if not isinstance(values, dict):
        raise ConfigError([Problem(UNREADABLE, str(path), "wanted an object with settings by name")])
    return read_plan({str(key).removeprefix(PREFIX): value for key, value in values.items()}, prefix=PREFIX)
