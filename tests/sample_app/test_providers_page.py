"""The page on providers says what the code has: every setting with its default, and every fault."""

from __future__ import annotations

import inspect
import re

from sample_app import edge_settings
from sample_app.simulated import faults
from tests.sample_app.support import ROOT

PAGE = (ROOT / "docs" / "howto" / "providers.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_setting_is_there_with_its_default() -> None:
    found = {row[0].strip("`"): row[1] for row in rows("setting")}

    assert set(found) == set(edge_settings.DEFAULTS)
    for name, default in edge_settings.DEFAULTS.items():
        assert found[name] in (f"`{default}`", *(("none", "a folder in the instance folder") if not default else ()))


def test_every_fault_is_there_with_its_sentence() -> None:
    source = inspect.getsource(faults.Fault)
    said = dict(re.findall(r'^    [A-Z_]+ = "([a-z_]+)"\n    """(.+)"""$', source, re.MULTILINE))
    found = {row[0].strip("`"): row[1] for row in rows("fault")}

    assert list(found) == [fault.value for fault in faults.Fault]
    assert found == said
