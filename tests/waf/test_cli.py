"""``bsguard waf …``: the rules as words and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bsguard.cli import main
from bsguard.waf.catalogue import program, reported

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "own.conf").write_text(
        '# Why it is there.\nSecRule ARGS "@streq x" "id:900001,phase:2,deny,msg:\'Own\'"\n'
    )
    values = {
        "STATE_DIR": str(tmp_path / "state"),
        "WAF_RULE_MODES": {"waf.102001": "monitor"},
        "WAF_RULES": [str(tmp_path / "own.conf")],
    }
    (tmp_path / "guard.json").write_text(json.dumps(values))
    return tmp_path / "guard.json"


def command(config: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["--config", str(config), "waf", *words])
    return done.exit_code, done.output


def test_every_rule_is_listed_with_its_mode(config: Path) -> None:
    code, text = command(config, "list", "--json")
    rows = [json.loads(line) for line in text.splitlines()]
    assert code == 0
    assert len(rows) == len(reported(program().rules)) + 1
    modes = {row["rule"]: row["mode"] for row in rows}
    assert (modes["waf.102001"], modes["waf.102002"], modes["waf.900001"]) == ("monitor", "enforce", "enforce")
    code, text = command(config, "list", "--tag", "ldap")
    assert text.split()[0] == "waf.105001"
    assert len(text.splitlines()) == 1


def test_one_rule_is_shown_with_its_comment_and_source(config: Path) -> None:
    for name in ("102001", "waf.102001"):
        code, text = command(config, "show", name)
        assert code == 0
        assert "Apostrophes in names" in text
        assert '"@sqlInjection"' in text
    code, text = command(config, "show", "113002", "--json")
    facts = json.loads(text)
    assert facts["source"].count("SecRule") == 2
    assert facts["file"] == "113-xml"
    code, text = command(config, "show", "900001", "--json")
    assert json.loads(text)["comment"] == "Why it is there."


def test_a_rule_that_there_is_not_is_told_with_the_nearest(config: Path) -> None:
    code, text = command(config, "show", "10200l")
    assert code == 1
    assert "did you mean waf.1020" in text
