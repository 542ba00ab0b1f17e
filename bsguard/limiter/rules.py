"""The rules of the limiter layer, by id."""

from __future__ import annotations

from typing import Final

#: What the ids of rules from the settings begin with; the rest is the rule's name.
OWN_RULES: Final = "limiter.rule."

#: What the global limit is called in `RateLimit`, where it stands beside those of own rules.
GLOBAL: Final = "global"

RULES: Final = {
    "limiter.global": "A client sends more requests than `BSGUARD_LIMITER_GLOBAL_RATE`; an IPv6 client counts as its "
    "/64. A /48 together has sixteen times as much, and so have all credentials that are known at one address.",
    "limiter.credentials": "A client presents more credentials that nobody has accepted from it before than "
    "`BSGUARD_LIMITER_CREDENTIALS_RATE`.",
    "limiter.target": "Credentials with one beginning, or for one user name, were refused more often than "
    "`BSGUARD_LIMITER_TARGET_RATE`, whoever presented them.",
    "limiter.probing": "A client asked for more different paths that do not exist than `BSGUARD_LIMITER_PROBING_RATE`.",
    "limiter.ban.automatic": "The client is banned because the application refused too many of its credentials.",
    "limiter.ban.manual": "The client is banned by `flask bsguard bans add`.",
    OWN_RULES + "*": "A rule of `BSGUARD_LIMITER_RULES`; its id ends with its name.",
}
