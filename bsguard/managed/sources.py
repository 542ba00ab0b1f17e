"""Which rule files there are, in which order, and what the settings add to them.

The order is the one of the Core Rule Set's own manual: set-up, settings, plugins' configuration and what they put
before, exclusions, the rules, what plugins put after, exclusions.
"""

from __future__ import annotations

import glob
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bsguard.seclang import parser
from bsguard.seclang.parser import Snippet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bsguard.managed.config import ManagedConfig
    from bsguard.seclang.model import Program

#: Ids of the two actions that settings become: beyond those that rule sets use.
_SETUP_ID: Final = 900_000_001
_SETTINGS_ID: Final = 900_000_002
_SETUP_NAMES: Final = ("crs-setup.conf", "crs-setup.conf.example")
#: What a rule set without a set-up file needs to know.
_BARE_SETUP: Final = f'SecAction "id:{_SETUP_ID},phase:1,pass,nolog,setvar:tx.crs_setup_version=1"'


def read_program(config: ManagedConfig, folder: Path) -> Program:
    """All rules, read; raises :class:`~bsguard.seclang.errors.RuleError` with every problem of every file."""
    sources = tuple(_sources(config, folder))
    return _read(sources, tuple(_stamp(source) for source in sources))


@lru_cache(maxsize=4)
def _read(sources: tuple[Path | Snippet, ...], _stamps: tuple[object, ...]) -> Program:
    """Read the files, once for all who ask while they stay as they are: settings are checked before layers are made."""
    paths = (source if isinstance(source, Snippet) else glob.escape(str(source)) for source in sources)
    return parser.load(paths)


def _stamp(source: Path | Snippet) -> object:
    if isinstance(source, Snippet):
        return None
    try:
        facts = source.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size


def setup_file(config: ManagedConfig, folder: Path) -> Path | None:
    """The set-up file: the one named, else the operator's own beside the rules, else the example."""
    if config.crs_setup is not None:
        return config.crs_setup
    return next((folder / name for name in _SETUP_NAMES if (folder / name).is_file()), None)


def rule_files(folder: Path) -> list[Path]:
    """The files of the rule set itself, in their order."""
    rules = folder / "rules"
    return sorted(rules.glob("*.conf")) if rules.is_dir() else sorted(folder.glob("RE*-*-*.conf"))


def _sources(config: ManagedConfig, folder: Path) -> Iterator[Path | Snippet]:
    setup = setup_file(config, folder)
    yield Snippet("<set-up>", _BARE_SETUP) if setup is None else setup
    yield Snippet("<settings>", _settings_text(config))
    yield from _plugins(config, "config")
    yield from _plugins(config, "before")
    yield from config.exclusions_before
    yield from rule_files(folder)
    yield from _plugins(config, "after")
    yield from config.exclusions_after


def _plugins(config: ManagedConfig, place: str) -> list[Path]:
    return [] if config.plugins_dir is None else sorted(config.plugins_dir.glob(f"*-{place}.conf"))


def _settings_text(config: ManagedConfig) -> str:
    """The settings as an action that comes after the set-up file's, so that what is set there is overruled."""
    values: dict[str, int | str | None] = {
        # CRS 4, then CRS 3.
        "blocking_paranoia_level": config.paranoia_level,
        "paranoia_level": config.paranoia_level,
        "detection_paranoia_level": config.detection_paranoia_level,
        "executing_paranoia_level": config.detection_paranoia_level,
        "inbound_anomaly_score_threshold": config.inbound_threshold,
        "outbound_anomaly_score_threshold": config.outbound_threshold,
        "early_blocking": None if config.early_blocking is None else int(config.early_blocking),
    }
    lists = {
        "allowed_methods": " ".join(config.allowed_methods),
        "allowed_request_content_type": " ".join(f"|{one}|" for one in config.allowed_content_types),
    }
    given = {name: value for name, value in (values | lists).items() if value not in (None, "")}
    setters = "".join(f",setvar:'tx.{name}={value}'" for name, value in given.items())
    response = f"SecResponseBodyAccess {'On' if config.response else 'Off'}\n"
    return response + (f'SecAction "id:{_SETTINGS_ID},phase:1,pass,nolog{setters}"\n' if setters else "")
