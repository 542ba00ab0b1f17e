"""Settings of the limiter layer. Every number has its reason beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bsguard.core import readers
from bsguard.core.config import CONTRADICTION, setting
from bsguard.core.errors import Problem
from bsguard.core.layer import LayerConfig
from bsguard.core.networks import NO_NETWORKS, Networks
from bsguard.limiter.rate import Quota, quota
from bsguard.limiter.rule import Rule, unreachable
from bsguard.limiter.rules import GLOBAL, OWN_RULES, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.core.settings import Mode, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterConfig(LayerConfig):
    """Settings of the limiter layer, ``BSGUARD_LIMITER_<NAME>``."""

    # Counting is no proof that a request is bad: the service goes on when it cannot count.
    on_failure: Literal["closed", "open"] = setting(
        "open",
        "What happens to a request when the layer itself fails: `closed` refuses it with 503, `open` lets it pass. "
        "A store that does not answer is no such failure: another takes its place.",
        readers.one_of("closed", "open"),
    )
    rule_modes: tuple[tuple[str, Mode], ...] = setting(
        (), 'Modes of single rules, such as `{"limiter.probing": "monitor"}`.', readers.modes_by_rule(RULES)
    )
    rules: tuple[Rule, ...] = setting(
        (),
        'Rules of your own: a list of {"name", "path", "methods", "surface", "key", "rate" or "concurrency", '
        '"lapse_seconds", "cost", "action"}. They add to the defaults.',
        readers.many(Rule.parse, "a list of rules"),
    )
    defaults: bool = setting(
        True,
        "Whether the rules that need no setting are used: the global limit, failed credentials and bans for them, "
        "and probing. Bans that you set yourself always hold.",
        readers.flag,
    )
    # Five a second: far more than a person needs, and than a client that behaves.
    global_rate: Quota = setting(
        Quota(300, 60),
        "Most requests of one client, whatever they are; counted before anything is authenticated.",
        quota,
    )
    # fail2ban's default, and about what a person mistypes.
    credentials_rate: Quota = setting(
        Quota(5, 600),
        "How many credentials the application may refuse one client: the last of them bans it. As many that were never "
        "accepted before may be tried at the same time.",
        quota,
    )
    target_rate: Quota = setting(
        Quota(20, 3600),
        "Most refused credentials with one beginning, or for one user name, from all clients together. "
        "A credential that was accepted before is never locked out by it.",
        quota,
    )
    # What a browser asks for in vain (icons, maps) is below ten; scanners try hundreds.
    probing_rate: Quota = setting(
        Quota(20, 600),
        "Most different paths that do not exist (404) which one client may ask for. Paths that differ in identifiers "
        "only are one, and clients with an accepted credential are not counted.",
        quota,
    )
    credential_headers: tuple[str, ...] = setting(
        ("Authorization",),
        "Request headers in which clients present credentials.",
        readers.many(readers.stripped_header, "a list of header names"),
    )
    refused_statuses: tuple[int, ...] = setting(
        (401,),
        "Statuses by which the application says that it refuses the credential. 403 is not among them: it mostly "
        "says that a good credential may not do this.",
        readers.many(readers.whole(400, 499), "a list of statuses"),
    )
    ban_seconds: int = setting(
        600, "How long a client is banned the first time; each further time twice as long.", readers.whole(1, 86_400)
    )
    ban_seconds_max: int = setting(
        86_400,
        "Longest automatic ban; each such time that passes takes one doubling back.",
        readers.whole(1, 31_536_000),
    )
    exempt_networks: Networks = setting(
        NO_NETWORKS,
        "Networks that are neither limited by address nor banned: your own monitoring, offices, partners.",
        readers.networks,
    )
    headers: bool = setting(
        True,
        "Whether answers carry `RateLimit` and `RateLimit-Policy`; refusals carry `Retry-After` in any case.",
        readers.flag,
    )

    def rule_ids(self, settings: Settings) -> tuple[str, ...]:  # noqa: ARG002
        """Ids of the operator's own rules."""
        return tuple(OWN_RULES + rule.name for rule in self.rules)

    def problems(self, settings: Settings, prefix: str) -> Iterator[Problem]:
        """What of the rules cannot take effect."""
        key = f"{prefix}RULES"
        names = [GLOBAL, *(name for rule in self.rules for name in rule.limits)]
        names += [rule.name for rule in self.rules if rule.name not in rule.limits]
        if len(set(names)) != len(names):
            message = f'has two rules of one name, or one named "{GLOBAL}"; a rule with several rates has its name and '
            yield Problem(CONTRADICTION, key, message + "NAME-1, NAME-2 …; counters, events and exceptions go by it")
        for rule_id, _ in self.rule_modes:
            if rule_id.startswith(OWN_RULES) and rule_id not in self.rule_ids(settings):
                yield Problem(CONTRADICTION, f"{prefix}RULE_MODES", f"names a rule that {key} does not have")
        for name, other in unreachable(self.rules):
            yield Problem(
                CONTRADICTION, key, f"{name} can never take effect, because {other} always does before; remove one"
            )
        surfaces = {surface.name for surface in settings.surfaces.declared}
        for rule in self.rules:
            if rule.match.surface and rule.match.surface not in surfaces:
                yield Problem(
                    CONTRADICTION, key, f"{rule.name} is about a surface that BSGUARD_SURFACES does not declare"
                )
        if self.ban_seconds > self.ban_seconds_max:
            yield Problem(CONTRADICTION, f"{prefix}BAN_SECONDS", f"must not be larger than {prefix}BAN_SECONDS_MAX")
        if not self.credential_headers:
            yield Problem(
                CONTRADICTION, f"{prefix}CREDENTIAL_HEADERS", "names no header; set DEFAULTS to False instead"
            )
