"""Puts the documents of the settings together: compiled, mounted on their hosts, each operation with its action."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.contract.compiler import compile_document
from bsguard.contract.judge import Judge
from bsguard.contract.load import DocumentError
from bsguard.contract.place import Place
from bsguard.contract.prepared import prepare_document
from bsguard.contract.reference import Reference
from bsguard.contract.responses import Responses
from bsguard.contract.routing import Mount, Mounts
from bsguard.contract.servers import host_and_prefix
from bsguard.core.config import UNUSABLE_DOCUMENT, WRONG_VALUE, nearest
from bsguard.core.errors import ConfigError, Problem
from bsguard.core.paths import under

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bsguard.contract.config import Action, ContractConfig, DocumentEntry
    from bsguard.contract.operations import Compiled, Operation, PathEntry
    from bsguard.core.request import Request

_log = logging.getLogger("bsguard")

_NAMED_MAX: Final = 5


_OUTSIDE: Final = Place("outside")


@dataclass(frozen=True, slots=True)
class Served:
    """One operation at one server, for people."""

    host: str
    path: str
    operation: Operation
    action: Action
    document: str


class Assembly:
    """All documents of one guard."""

    def __init__(self, config: ContractConfig, state_dir: Path | None) -> None:
        """Raises :class:`~bsguard.core.errors.ConfigError` with the problems of all documents."""
        self._config = config
        self.documents: list[Compiled] = []
        problems: list[Problem] = []
        mounts: list[Mount[PathEntry]] = []
        self._home: dict[Mount[PathEntry], Compiled] = {}
        #: Mounts that stand for a server, without those of the additional hosts.
        self._declared: list[Mount[PathEntry]] = []
        self._further: list[Mount[PathEntry]] = []
        for entry in config.documents:
            try:
                compiled = _compiled(entry, config, state_dir)
            except DocumentError as error:
                problems += [Problem(UNUSABLE_DOCUMENT, str(entry.file), str(one)) for one in error.problems]
                continue
            self.documents.append(compiled)
            further = list(_further(compiled, entry.hosts))
            self._declared += compiled.mounts
            self._further += further
            mounts += [*compiled.mounts, *further]
            self._home |= dict.fromkeys([*compiled.mounts, *further], compiled)
        problems += self._unknown_actions()
        if problems:
            raise ConfigError(problems)
        self.mounts = Mounts(mounts)
        self.judges = {compiled: Judge(compiled, config) for compiled in self.documents}
        self._references = {
            compiled: Reference(compiled.document) for compiled in self.documents if _needs_reference(compiled, config)
        }
        judged = self.documents if config.response_ratio > 0 else []
        self._responses = {compiled: Responses(compiled) for compiled in judged}
        named = dict(config.actions)
        self._zone: Action = config.override or config.action
        self._actions = {
            (mount, operation): config.override or _named(named, mount, operation) or config.action
            for mount, compiled in self._home.items()
            for operation in compiled.operations
        }
        #: Places of operations whose path has no parameters, made once.
        self._fixed = {
            (mount, operation): Place("", self._actions[mount, operation], mount, entry, operation)
            for mount, compiled in self._home.items()
            for entry in mount.router.leaves()
            for operation in entry.operations.values()
        }
        self._scopes = tuple({mount.prefix + compiled.scope for mount, compiled in self._home.items()})

    def place(self, request: Request) -> Place:
        """Where *request* falls."""
        path = _path_of(request)
        mounts = self.mounts.at(request.host)
        found = self.mounts.find(mounts, path)
        if found is None:
            return self._beside(request, path, known=bool(mounts))
        mount, entry, taken = found
        operation = entry.operation(request.method)
        if operation is None:
            if request.method == "OPTIONS" and self._config.options == "pass":
                return _OUTSIDE
            return Place("method", self._zone, mount, entry)
        if not taken:
            return self._fixed[mount, operation]
        return Place("", self._actions[mount, operation], mount, entry, operation, taken)

    def judge(self, mount: Mount[PathEntry]) -> Judge:
        """What judges the requests of a mount."""
        return self.judges[self._home[mount]]

    def reference(self, mount: Mount[PathEntry]) -> Reference | None:
        """The reference engine of a mount's document; None where nothing needs it."""
        return self._references.get(self._home[mount])

    def responses(self, mount: Mount[PathEntry]) -> Responses | None:
        """What judges the answers of a mount; None if nothing does."""
        return self._responses.get(self._home[mount])

    def compiled(self, mount: Mount[PathEntry]) -> Compiled:
        """The document of a mount."""
        return self._home[mount]

    def served(self, *, further: bool = False) -> Iterator[Served]:
        """Every operation at every server of its document, in the documents' order; or at the *further* hosts."""
        for mount in self._further if further else self._declared:
            compiled = self._home[mount]
            for operation in compiled.operations:
                found = mount.router.find(_native(operation.template))
                if found is None or found[0].operations.get(operation.method) is not operation:
                    continue  # served at other servers
                action = self._actions[mount, operation]
                path = mount.prefix.encode("latin-1").decode() + operation.template
                yield Served(mount.host, path, operation, action, compiled.document.name)

    def _beside(self, request: Request, path: str, *, known: bool) -> Place:
        text = request.path
        own = next((action for pattern, action in self._config.fallthrough_actions if pattern.matches(text)), None)
        if own is None and not any(not scope or under(scope, path) for scope in self._scopes):
            return _OUTSIDE
        if not known:
            return Place("host", self._zone)
        if request.method == "OPTIONS" and path in ("", "*"):
            return _OUTSIDE
        return Place("endpoint", self._config.override or own or self._config.fallthrough)

    def _unknown_actions(self) -> Iterator[Problem]:
        names = {
            name
            for mount, compiled in self._home.items()
            for operation in compiled.operations
            for name in _names_at(mount, operation)
        }
        for name, _ in self._config.actions:
            if name not in names and self.documents:
                close = nearest(name, names)
                remedy = f"did you mean {close}?" if close else "see `bsguard contract operations`"
                message = f"names an operation that no document has; {remedy}"
                yield Problem(WRONG_VALUE, "CONTRACT_ACTIONS", message)


def _needs_reference(compiled: Compiled, config: ContractConfig) -> bool:
    everywhere = config.engine == "reference" or config.shadow_ratio > 0
    return everywhere or any(operation.reference for operation in compiled.operations)


def _path_of(request: Request) -> str:
    """The native path as Werkzeug routes it: slashes before the first segment below the mount point are one."""
    path = request.path_native
    if "//" in path:
        below = str(request.environ.get("PATH_INFO", ""))
        if path.endswith(below):
            return f"{path[: len(path) - len(below)]}/{below.lstrip('/')}"
    return path


def _native(text: str) -> str:
    return text.encode().decode("latin-1")


def _names_at(mount: Mount[PathEntry], operation: Operation) -> tuple[str, ...]:
    path = mount.prefix.encode("latin-1").decode() + operation.template
    method = operation.method
    return (f"{method} {mount.host}{path}", f"{method} {path}", *operation.names)


def _named(named: dict[str, Action], mount: Mount[PathEntry], operation: Operation) -> Action | None:
    """The action that the settings give an operation; the most special name counts."""
    return next((named[name] for name in _names_at(mount, operation) if name in named), None)


def _further(compiled: Compiled, hosts: tuple[str, ...]) -> Iterator[Mount[PathEntry]]:
    """Mounts of the additional hosts: each serves what the document's servers serve."""
    seen = set()
    for host in hosts:
        for mount in compiled.mounts:
            if (host, mount.prefix, mount.router) not in seen:
                seen.add((host, mount.prefix, mount.router))
                yield Mount(host, mount.prefix, mount.router)


def _compiled(entry: DocumentEntry, config: ContractConfig, state_dir: Path | None) -> Compiled:
    document, warnings = prepare_document(entry.file, state_dir, strict=config.strict)
    servers = tuple(host_and_prefix(url) for url in entry.servers)
    compiled = compile_document(document, servers=servers, reference=config.engine == "reference")
    for line in (*warnings, *told_at_start(compiled)):
        _log.warning("contract: %s", line)
    return compiled


def told_at_start(compiled: Compiled) -> Iterator[str]:
    """What of a document is judged in another way than by the plan, or not at all; a line for each reason."""
    name = compiled.document.name
    reasons: dict[str, list[str]] = {}
    for operation in compiled.operations:
        if operation.reference:
            reasons.setdefault(f"judged by the reference engine: {operation.reference}", []).append(operation.id)
        for note in operation.notes:
            reasons.setdefault(f"not enforced: {note}", []).append(operation.id)
    for reason, operations in reasons.items():
        more = f" and {len(operations) - _NAMED_MAX} more" if len(operations) > _NAMED_MAX else ""
        yield f"{name}: {reason}: {', '.join(operations[:_NAMED_MAX])}{more}"
    if compiled.formats:
        yield f"{name}: not enforced: the formats {', '.join(sorted(compiled.formats))}"
