"""Settings of the contract layer."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bsguard.contract.rules import RULES
from bsguard.core import readers
from bsguard.core.config import Wanted, setting
from bsguard.core.grammar import HOST
from bsguard.core.layer import LayerConfig

if TYPE_CHECKING:
    from bsguard.core.paths import PathPattern
    from bsguard.core.settings import Mode

#: ``block`` refuses, ``log`` reports, ``none`` does not look.
Action = Literal["block", "log", "none"]
#: From the laxest to the strictest.
ACTIONS: Final[tuple[Action, ...]] = ("none", "log", "block")

_DOCUMENT_KEYS: Final = ("file", "servers", "hosts")


def laxer(one: Action, other: Action) -> Action:
    """The less strict of two actions."""
    return min(one, other, key=ACTIONS.index)


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """One document, and where it is served."""

    file: Path
    #: Addresses that take the place of the document's own servers.
    servers: tuple[str, ...] = ()
    #: Further host names that serve what the servers serve, such as ``localhost``.
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """Names of parameters, with ``*`` for any characters."""

    text: tuple[str, ...] = ()
    _match: re.Pattern[str] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, names: tuple[str, ...]) -> Names:
        """Compile *names*."""
        return cls(names, re.compile("|".join(fnmatch.translate(name) for name in names)) if names else None)

    def matches(self, name: str) -> bool:
        """Whether one of them stands for *name*."""
        return self._match is not None and self._match.fullmatch(name) is not None


def _document(value: object) -> DocumentEntry:
    if isinstance(value, (str, Path)) and str(value):
        return DocumentEntry(Path(value))
    if not isinstance(value, Mapping) or not isinstance(value.get("file"), (str, Path)) or not value["file"]:
        raise Wanted('a path, or a mapping with "file", and perhaps "servers", "hosts"')
    if set(value) - set(_DOCUMENT_KEYS):
        raise Wanted('only "file", "servers", "hosts"')
    hosts = readers.many(_host, "a list of host names")(value.get("hosts", ()))
    servers = readers.many(_server, "a list of addresses")(value.get("servers", ()))
    return DocumentEntry(Path(value["file"]), servers, hosts)


def _host(value: object) -> str:
    name = readers.text(value).lower().rstrip(".")
    match = HOST.fullmatch(name.removeprefix("*."))
    if match is None or match["port"]:
        raise Wanted('a host name such as "api.example.com", without port')
    return name


def _server(value: object) -> str:
    from bsguard.contract.servers import host_and_prefix

    url = readers.text(value)
    try:
        host_and_prefix(url)
    except ValueError as reason:
        raise Wanted(f'an address such as "https://api.example.com/v1" ({reason})') from None
    return url


_action = readers.one_of("block", "log", "none")


def _by_operation(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise Wanted("a mapping from operations to actions")
    return tuple((str(key), _action(action)) for key, action in value.items())


def _names(value: object) -> Names:
    return value if isinstance(value, Names) else Names.of(readers.many(readers.text, "a list of names")(value))


def _ratio(value: object) -> float:
    if isinstance(value, str) and re.fullmatch(r"[01]|0?\.[0-9]{1,9}", value):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise Wanted("a number from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractConfig(LayerConfig):
    """Settings of the contract layer, ``BSGUARD_CONTRACT_<NAME>``."""

    rule_modes: tuple[tuple[str, Mode], ...] = setting(
        (), 'Modes of single rules, such as `{"contract.security": "off"}`.', readers.modes_by_rule(RULES)
    )
    documents: tuple[DocumentEntry, ...] = setting(
        (),
        'OpenAPI documents: a list of paths, or of {"file", "servers", "hosts"}: `servers` take the place of the '
        "document's own, `hosts` are further host names. Without one the layer does nothing.",
        readers.many(_document, "a list of documents"),
    )
    strict: bool = setting(
        True,
        "Whether a document that breaks the OpenAPI specification is an error at start. False logs what is wrong and "
        "goes on, if it can be compiled all the same.",
        readers.flag,
    )
    action: Action = setting(
        "block",
        "What happens to a request that breaks its contract: `block` refuses it, `log` reports it, `none` looks away.",
        _action,
    )
    actions: tuple[tuple[str, Action], ...] = setting(
        (),
        "Actions of single operations, by `operationId`, `GET /v1/models` or `GET api.example.com/v1/models`.",
        _by_operation,
    )
    override: Action | None = setting(
        None, "One action for all operations that leaves the settings above as they are. For emergencies.", _action
    )
    fallthrough: Action = setting(
        "log",
        "What happens to a request for a path that no document describes, within the prefixes that documents have.",
        _action,
    )
    fallthrough_actions: tuple[tuple[PathPattern, Action], ...] = setting(
        (),
        'The same for single paths, also outside those prefixes, such as `{"/v1/internal/**": "none"}`; '
        "the first pattern that fits counts.",
        readers.by_path(_action),
    )
    unspecified_parameters: Action = setting(
        "block", "What happens to a request with a query parameter that its operation does not declare.", _action
    )
    parameters_ignored: Names = setting(
        Names(), "Query parameters that may stand in any request, such as `utm_*`.", _names
    )
    options: Literal["pass", "refuse"] = setting(
        "pass",
        "Whether OPTIONS passes on a path that declares none: frameworks answer it by themselves, and browsers ask.",
        readers.one_of("pass", "refuse"),
    )
    json_depth_max: int = setting(64, "How deep JSON bodies may be nested.", readers.whole(1, 100))
    fields_count_max: int = setting(
        10_000, "How many query parameters, form fields or JSON values a request may have.", readers.whole(1, 1_000_000)
    )
    engine: Literal["auto", "reference"] = setting(
        "auto",
        "`auto` judges by the compiled plan, and by openapi-core what cannot be compiled exactly; `reference` judges "
        "all values by openapi-core, which takes milliseconds.",
        readers.one_of("auto", "reference"),
    )
    shadow_ratio: float = setting(
        0.0, "Share of requests that openapi-core judges too, to report where it disagrees: 0 to 1.", _ratio
    )
    response_ratio: float = setting(
        0.0, "Share of answers that are held against the document, to report what is not as declared: 0 to 1.", _ratio
    )
    response_bytes_max: int = setting(
        65_536, "Longest body of an answer that is kept for that.", readers.whole(1_024, 16 * 1024 * 1024)
    )
    learn: bool = setting(
        False,
        "Record the shapes of requests that were answered with success, without their values, for `contract learn`.",
        readers.flag,
    )

    @property
    def idle(self) -> bool:
        """Without documents there is nothing to enforce."""
        return not self.documents and not self.learn
