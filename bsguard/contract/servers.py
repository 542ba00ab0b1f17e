"""Hosts and path prefixes of a document's servers."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from bsguard.core.grammar import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bsguard.contract.load import Document, DocumentProblem

_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")
#: Combinations of a server's variables that are written out.
SERVERS_COUNT_MAX: Final = 1_000


def servers_of(
    document: Document, servers: Any, above: str, problems: list[DocumentProblem]
) -> Iterator[tuple[str, str]]:
    """Host and prefix of each server; a relative address has no host, and serves any. No server means any host."""
    seen: set[tuple[str, str]] = set()
    for index, server in enumerate(servers if isinstance(servers, list) and servers else [{"url": "/"}]):
        pointer = f"{above}/servers/{index}"
        node = server if isinstance(server, dict) else {}
        variables = node.get("variables") if isinstance(node.get("variables"), dict) else {}
        for url in itertools.islice(_written_out(str(node.get("url", "/")), variables or {}), SERVERS_COUNT_MAX):
            try:
                found = host_and_prefix(url)
            except ValueError as reason:
                remedy = 'name "servers" for the document in BSGUARD_CONTRACT_DOCUMENTS'
                problems.append(document.problem(pointer, f"cannot be served: {reason}", remedy))
                break
            if found not in seen:
                seen.add(found)
                yield found


def host_and_prefix(url: str) -> tuple[str, str]:
    """Host (empty for any) and native path prefix of a server's address; ValueError if it is none."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    if parts.scheme and parts.scheme not in ("http", "https"):
        raise ValueError("it is no web address")
    if parts.scheme and not HOST.fullmatch(host.removeprefix("*.")):
        raise ValueError("its host is not fixed, but for a first label")
    if "{" in parts.path:
        raise ValueError("a variable in its path has no list of values")
    path = unquote(parts.path).strip("/")
    return host, f"/{path}".encode().decode("latin-1") if path else ""


def prefix_of(templates: Iterable[str]) -> str:
    """The fixed segments that all *templates* begin with, such as ``/v1``; empty if there are none."""
    common: list[str] | None = None
    for template in templates:
        segments = template.split("/")[1:-1]  # the last one tells operations apart
        fixed = list(itertools.takewhile(lambda segment: segment and "{" not in segment, segments))
        if common is None:
            common = fixed
        else:
            common = [
                one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(common, fixed, strict=False))
            ]
    return "".join(f"/{segment}" for segment in common or ()).encode().decode("latin-1")


def _written_out(url: str, variables: dict[str, Any]) -> Iterator[str]:
    """The address with every combination of its variables' values; a first label without a list is ``*``."""
    names = list(dict.fromkeys(_VARIABLE.findall(url)))
    choices = []
    for name in names:
        variable = variables.get(name)
        told = variable if isinstance(variable, dict) else {}
        values = [str(value) for value in told.get("enum") or ()]
        if not values and f"//{{{name}}}." in url:
            values = ["*"]
        elif not values and "default" in told:
            values = [str(told["default"])]
        choices.append(values or [f"{{{name}}}"])
    for combination in itertools.product(*choices):
        text = url
        for name, value in zip(names, combination, strict=True):
            text = text.replace(f"{{{name}}}", value)
        yield text
