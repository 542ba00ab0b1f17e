"""The SecLang rule language and its engine, a library of its own: it runs the OWASP Core Rule Set as published.

>>> from bsguard.seclang import RuleSet
>>> rules = RuleSet.parse('SecRule ARGS "@contains <script" "id:1,phase:2,deny"')
>>> rules.inspect(target="/?q=<script>").rule_ids
(1,)
"""

from __future__ import annotations

from bsguard.seclang.bodies import Limits
from bsguard.seclang.errors import Position, RuleError, RuleProblem
from bsguard.seclang.request import Found, Inspection, Match, Request, Response, Verdict
from bsguard.seclang.ruleset import RuleSet

__all__ = [
    "Found",
    "Inspection",
    "Limits",
    "Match",
    "Position",
    "Request",
    "Response",
    "RuleError",
    "RuleProblem",
    "RuleSet",
    "Verdict",
]
