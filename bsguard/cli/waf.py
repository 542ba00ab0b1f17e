"""``waf``: the rules of the WAF layer, and what each of them is about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from bsguard.cli.source import source_of
from bsguard.core.config import nearest

if TYPE_CHECKING:
    from bsguard.waf.catalogue import Entry
    from bsguard.waf.config import WafConfig

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")


@click.group()
def waf() -> None:
    """Look at the rules against attacks."""


@waf.command("list")
@click.option("--tag", help="Only rules with this tag, such as sql or not-free-text.")
@_as_json
@click.pass_context
def list_rules(context: click.Context, tag: str | None, as_json: bool) -> None:
    """Every rule: its id, severity, mode, class and what it refuses."""
    config = _config(context)
    for entry in _entries(config):
        if tag is not None and tag not in entry.rule.tags:
            continue
        facts = _facts(entry, config)
        line = "{rule:<12} {severity:<9} {mode:<8} {message}  ({tags})"
        click.echo(json.dumps(facts) if as_json else line.format(**{**facts, "tags": ", ".join(facts["tags"])}))


@waf.command("show")
@click.argument("rule_id", metavar="ID")
@_as_json
@click.pass_context
def show_rule(context: click.Context, rule_id: str, as_json: bool) -> None:
    """One rule: what it stops, why honest text does not set it off, and how it is written.

    ID is as in events, such as waf.102001, or the number alone.
    """
    config = _config(context)
    wanted = rule_id if rule_id.startswith("waf.") else f"waf.{rule_id}"
    known = {f"waf.{entry.rule.id}": entry for entry in _entries(config)}
    entry = known.get(wanted)
    if entry is None:
        close = nearest(wanted, known)
        raise click.ClickException("there is no such rule; " + (f"did you mean {close}?" if close else "see waf list"))
    facts = {**_facts(entry, config), "file": entry.file, "comment": entry.comment, "source": entry.source}
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(f"{facts['rule']}  {facts['message']}")
    click.echo(
        f"severity {facts['severity']}, mode {facts['mode']}, tags {', '.join(facts['tags'])}, file {entry.file}"
    )
    click.echo(f"\n{entry.comment}\n\n{entry.source}")


def _config(context: click.Context) -> WafConfig:
    config: WafConfig = source_of(context).plan.layers["waf"]  # type: ignore[assignment]
    return config


def _entries(config: WafConfig) -> tuple[Entry, ...]:
    from bsguard.waf.catalogue import entries
    from bsguard.waf.config import read_rules

    return () if config.idle else entries(read_rules(config.rules, defaults=config.defaults).rules)


def _facts(entry: Entry, config: WafConfig) -> dict[str, Any]:
    name = f"waf.{entry.rule.id}"
    return {
        "rule": name,
        "severity": entry.severity,
        "mode": dict(config.rule_modes).get(name, "enforce"),
        "message": entry.rule.message,
        "tags": list(entry.rule.tags),
    }
