"""bsguard: a request guard for Flask and any WSGI application.

Public names are loaded when they are first used, so that importing one layer loads nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bsguard._version import __version__ as __version__

if TYPE_CHECKING:
    from bsguard.contract import Contract as Contract
    from bsguard.core.errors import BsguardError as BsguardError
    from bsguard.core.errors import ConfigError as ConfigError
    from bsguard.core.identity import identify as identify
    from bsguard.core.stack import stack as stack
    from bsguard.extension import BSGuard as BSGuard
    from bsguard.limiter import Limiter as Limiter
    from bsguard.managed import Managed as Managed
    from bsguard.protocol import Protocol as Protocol
    from bsguard.session import Session as Session
    from bsguard.standard import guard as guard
    from bsguard.tenant import Tenant as Tenant
    from bsguard.waf import Waf as Waf

_HOMES = {
    "BSGuard": "bsguard.extension",
    "BsguardError": "bsguard.core.errors",
    "ConfigError": "bsguard.core.errors",
    "Limiter": "bsguard.limiter",
    "Managed": "bsguard.managed",
    "Contract": "bsguard.contract",
    "Protocol": "bsguard.protocol",
    "Session": "bsguard.session",
    "Tenant": "bsguard.tenant",
    "Waf": "bsguard.waf",
    "guard": "bsguard.standard",
    "identify": "bsguard.core.identity",
    "stack": "bsguard.core.stack",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
