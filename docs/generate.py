"""Writes the pages of ``docs/reference`` from the code that they describe: ``./run docs``; ``--check`` only compares.

Settings, codes, rules, events and problem ids are data in the package; what is written here is only their layout.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bsguard.contract.rules import RULES as CONTRACT_RULES
from bsguard.core import config, wire
from bsguard.core.codes import CODES
from bsguard.core.config import info_of, settings_of
from bsguard.core.events import EVENTS, Event
from bsguard.core.rules import RULES as CORE_RULES
from bsguard.core.settings import Settings
from bsguard.managed.rules import RULES as MANAGED_RULES
from bsguard.observe.config import EventsConfig
from bsguard.protocol.rules import RULES as PROTOCOL_RULES
from bsguard.session.rules import RULES as SESSION_RULES
from bsguard.standard import LAYERS, layer_class
from bsguard.tenant.layer import RULES as TENANT_RULES
from bsguard.waf.catalogue import entries, program
from bsguard.waf.layer import Waf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDER = Path(__file__).resolve().parent / "reference"

_LAYER_RULES = {
    "protocol": PROTOCOL_RULES,
    "waf": Waf.rules,
    "managed": MANAGED_RULES,
    "contract": CONTRACT_RULES,
    "session": SESSION_RULES,
    "tenant": TENANT_RULES,
}
_NOTICE = "<!-- Written by docs/generate.py from the code; change it there. -->\n"


def pages() -> dict[str, str]:
    """All generated pages by file name."""
    return {
        "settings.md": "\n".join(_settings()),
        "codes.md": "\n".join(_codes()),
        "rules.md": "\n".join(_rules()),
        "waf.md": "\n".join(_waf()),
        "events.md": "\n".join(_events()),
        "servers.md": "\n".join(_servers()),
    }


def main() -> int:
    """Write or compare; the exit status."""
    parser = argparse.ArgumentParser(prog="./run docs")
    parser.add_argument("--check", action="store_true", help="change nothing, fail if a page is not what it would be")
    check = parser.parse_args().check
    stale = [name for name, text in pages().items() if _read(name) != text]
    if check:
        for name in stale:
            print(f"docs/reference/{name} is out of date; run ./run docs", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{len(stale)} of {len(pages())} pages changed")
    return 0


def _read(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _settings() -> Iterator[str]:
    yield f"{_NOTICE}\n# Settings\n"
    yield "Flask reads them from `app.config` under these names. `guard(app, {...})` and settings files take them"
    yield "without `BSGUARD_`; a layer alone takes its own without `BSGUARD_<LAYER>_`."
    yield "See [how to set them](../howto/configure.md).\n"
    yield from _setting_table("Global", "BSGUARD_", Settings)
    for name in LAYERS:
        yield from _setting_table(f"The {name} layer", f"BSGUARD_{name.upper()}_", layer_class(name).config_class)
    yield from _setting_table("Events", "BSGUARD_EVENTS_", EventsConfig)
    yield "## Problems\n"
    yield "All problems of a configuration come in one `ConfigError`, each with one of these ids.\n"
    yield from _table(("id", "meaning"), [(f"`{key}`", text) for key, text in config.PROBLEMS.items()])


def _setting_table(title: str, prefix: str, cls: type[Any]) -> Iterator[str]:
    yield f"## {title}\n"
    rows = [(f"`{prefix}{key}`", _default(field), info_of(field).doc) for key, field in settings_of(cls).items()]
    yield from _table(("setting", "default", "meaning"), rows)


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if value is None or value == "":
        return ""
    if isinstance(value, tuple):
        return f"`{list(value)}`" if value else "`[]`"
    if isinstance(value, (bool, int, str)):
        return f"`{value!r}`" if not isinstance(value, int) or isinstance(value, bool) else f"`{value}`"
    return "`[]`"


def _codes() -> Iterator[str]:
    yield f"{_NOTICE}\n# Error codes\n"
    yield "Every refusal carries one. The request id beside it leads to the event, which has the rule and the reason.\n"
    rows = [(f"`{c.id}`", str(c.status), c.group, f"`{c.type}`", c.message, c.when) for c in CODES]
    yield from _table(("code", "status", "group", "type", "message", "given when"), rows)


def _rules() -> Iterator[str]:
    yield f"{_NOTICE}\n# Rules\n"
    yield "What a rule id in an event, an exception or `BSGUARD_<LAYER>_RULE_MODES` stands for.\n"
    for title, rules in (*_LAYER_RULES.items(), ("any layer", CORE_RULES)):
        yield f"## {title}\n"
        yield from _table(("rule", "refuses"), [(f"`{rule}`", text) for rule, text in rules.items()])


def _waf() -> Iterator[str]:
    yield f"{_NOTICE}\n# Rules against attacks\n"
    yield "The rules of the WAF layer, one file a class of attack, in `bsguard/waf/rules`;"
    yield "`flask bsguard waf show ID` shows one as it is written. A rule with the tag `not-free-text` or `not-secret`"
    yield "is left out by that [profile](../howto/waf.md#say-what-fields-are-for).\n"
    file = ""
    for entry in entries(program().rules):
        if entry.file != file:
            file = entry.file
            yield f"## {file.partition('-')[2]}\n"
        tags = ", ".join(f"`{tag}`" for tag in entry.rule.tags)
        yield f"**`waf.{entry.rule.id}`** {entry.rule.message} ({entry.severity}; {tags}).\n"
        if entry.comment:
            yield re.sub(r"[<*_\[\]]", r"\\\g<0>", entry.comment) + "\n"


def _events() -> Iterator[str]:
    yield f"{_NOTICE}\n# Events\n"
    yield "Frozen dataclasses in `bsguard.core.events`, handed to `emit`, logged under `bsguard.events`, and stored.\n"
    for event in EVENTS:
        yield f"## `{event.name}`\n"
        yield f"`{event.__name__}`. {inspect.getdoc(event)}\n"
        yield from _table(("fact", "meaning"), [(f"`{name}`", text) for name, text in _facts(event).items()])


def _facts(event: type[Event]) -> dict[str, str]:
    """The fields of an event with the ``#:`` comment that stands above each."""
    comments: dict[str, str] = {}
    for cls in reversed(event.__mro__):
        if not issubclass(cls, Event):
            continue
        gathered: list[str] = []
        for line in inspect.getsource(cls).splitlines():
            text = line.strip()
            if text.startswith("#: "):
                gathered.append(text[3:])
            elif match := re.fullmatch(r"(\w+): (?!ClassVar).+", text):
                comments[match[1]] = " ".join(gathered)
                gathered = []
            else:
                gathered = []
    return {field.name: comments.get(field.name, "") for field in dataclasses.fields(event)}


def _servers() -> Iterator[str]:
    yield f"{_NOTICE}\n# Servers\n"
    yield f"{(inspect.getdoc(wire) or '').replace('``', '`')}\n"
    rows = [(name, "; ".join(spots) or "nothing that the protocol layer checks") for name, spots in wire.TABLE.items()]
    yield from _table(("server", "what it hides, or lets through unseen"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ").replace("``", "`") for cell in row) + " |"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
