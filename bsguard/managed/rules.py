"""The rules of the managed layer, by id."""

from __future__ import annotations

from typing import Final

from bsguard.seclang.layer import OWN_RULES

RULES: Final = {
    "managed.*": "A rule of the installed rule set; its id ends with the rule's number. `flask bsguard crs list` lists "
    "them, `flask bsguard crs explain 942100` shows one.",
    **{f"managed.{name}": text for name, text in OWN_RULES.items()},
}
