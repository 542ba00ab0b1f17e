"""The tenant layer: strips identity headers in every spelling, and keeps surfaces apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from bsguard.core import codes, readers
from bsguard.core.config import setting
from bsguard.core.layer import Layer, LayerConfig
from bsguard.core.verdict import ALLOW, Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bsguard.core.request import Request
    from bsguard.core.settings import Mode

RULES: Final[dict[str, str]] = {
    "tenant.host": "No surface is declared for the host (RFC 9110 §15.5.20).",
    "tenant.path": "The path lies outside the prefixes of the host's surface, or belongs to another surface.",
}

#: How many environ keys are remembered, and how long they may be; others are judged anew each time.
_HARMLESS_MAX: Final = 4096
_HARMLESS_CHARS_MAX: Final = 64
_NOT_LETTERS: Final = re.compile(r"[^A-Z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantConfig(LayerConfig):
    """Settings of the tenant layer, ``BSGUARD_TENANT_<NAME>``. What it strips and the surfaces are global settings."""

    rule_modes: tuple[tuple[str, Mode], ...] = setting(
        (), 'Modes of single rules, such as `{"tenant.host": "monitor"}`.', readers.modes_by_rule(RULES)
    )


class Tenant(Layer[TenantConfig]):
    """Removes the headers of ``BSGUARD_STRIP_HEADERS`` and refuses what lies outside the host's surface.

    Headers are compared by their letters and digits alone, because servers differ in what they make of ``X_Account_Id``
    or ``X-Account-Id`` with a space behind: whatever arrives under a name that somebody could take for the
    stripped one is removed, in monitor mode too. The account comes from :func:`bsguard.identify` alone.
    """

    name: ClassVar[str] = "tenant"
    config_class = TenantConfig
    rules = RULES

    def prepare(self) -> None:
        """Normalise the names once."""
        self._stripped = frozenset(_letters(name) for name in self.settings.strip_headers)
        #: Environ keys found harmless before, so that the common request is one set operation.
        self._harmless: set[str] = set()

    def inspect_head(self, request: Request) -> Verdict:
        """Edits always; a finding when the request is not where it belongs."""
        environ = request.environ
        remove = () if self._harmless.issuperset(environ) else self._to_remove(environ)
        problem = request.placement.problem
        if problem is None:
            return Verdict(remove=remove) if remove else ALLOW
        if problem == "host":
            finding = Finding("tenant.host", codes.MISDIRECTED, "no surface is declared for the host")
        else:
            finding = Finding("tenant.path", codes.RESTRICTED, "outside the surface that the host serves")
        return Verdict((finding,), remove)

    def _to_remove(self, environ: Mapping[str, object]) -> tuple[str, ...]:
        remove = tuple(key for key in environ if key[:5] == "HTTP_" and _letters(key[5:]) in self._stripped)
        harmless = self._harmless if len(self._harmless) < _HARMLESS_MAX else set()
        harmless.update(key for key in environ if key not in remove and len(key) <= _HARMLESS_CHARS_MAX)
        self._harmless = harmless
        return remove


def _letters(name: str) -> str:
    """The letters and digits of a header name in capitals: what every reader of it agrees on."""
    return _NOT_LETTERS.sub("", name.upper())
