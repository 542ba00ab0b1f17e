"""Which links match on a request's headers, method, protocol and client: looked up, since requests repeat them.

What a link makes of one header is a function of its name and value, and what it makes of all their names a function
of those, so the answers can be remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.seclang.prefilter.chains import Values
from bsguard.seclang.prefilter.recall import Recall, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bsguard.seclang.compiler import Runnable
    from bsguard.seclang.prefilter.scans import Scan
    from bsguard.seclang.request import Headers

#: How many headers, sets of names, scalars and names are remembered, each at most twice.
_HEADERS_REMEMBERED: Final = 4096
_NAMES_REMEMBERED: Final = 512
_SCALARS_REMEMBERED: Final = 2048
_LENSES_REMEMBERED: Final = 128
#: Names of headers are seldom longer.
_NAME_BYTES_MAX: Final = 64
#: Names that few requests share tell nothing for the next one; headers are seldom so many.
_NAMES_MAX: Final = 64

#: A link, and the bit that says that it may match.
Bit = tuple["Runnable", int]


@dataclass(frozen=True, slots=True)
class HeaderLink:
    """A link that looks at headers' values."""

    link: Runnable
    bit: int
    #: Whether the scan decides; else the link is evaluated.
    scanned: bool


@dataclass(frozen=True, slots=True)
class _Lens:
    """The links that look at headers of one name: what is scanned for, and what is evaluated at once."""

    scan: Scan
    scanned: tuple[Bit, ...]
    evaluated: tuple[Bit, ...]


class Heads:
    """The bits that the head of a request sets."""

    def __init__(
        self,
        scan: Scan,
        links: Sequence[HeaderLink],
        of_names: Callable[[tuple[bytes, ...]], int] | None,
        scalars: Mapping[str, Sequence[Bit]],
    ) -> None:
        self._scan = scan
        self._links = links
        self._of_names = of_names
        self._scalars = {name: (tuple(found), Recall[int](_SCALARS_REMEMBERED)) for name, found in scalars.items()}
        self._headers = Recall[int](_HEADERS_REMEMBERED)
        self._names = Recall[int](_NAMES_REMEMBERED)
        self._lenses = Recall[_Lens](_LENSES_REMEMBERED)

    def of_headers(self, headers: Headers) -> int:
        """The bits of links that match on a header, or on the names of them all."""
        found = self._of_all_names(tuple([name for name, _ in headers])) if self._of_names is not None else 0
        remembered = self._headers
        for name, value in headers:
            key = (digest(name), digest(value))
            bits = remembered.get(key)
            if bits is None:
                bits = self._of_header(name, value)
                if len(name) <= _NAME_BYTES_MAX:
                    remembered.put(key, bits)
            found |= bits
        return found

    def of_scalar(self, name: str, value: bytes) -> int:
        """The bits of links that match on a variable of one value."""
        links, remembered = self._scalars[name]
        key = digest(value)
        bits = remembered.get(key)
        if bits is None:
            bits = matching(links, value)
            remembered.put(key, bits)
        return bits

    def _of_all_names(self, names: tuple[bytes, ...]) -> int:
        evaluate = self._of_names
        if evaluate is None:
            return 0
        if len(names) > _NAMES_MAX or any(len(name) > _NAME_BYTES_MAX for name in names):
            return evaluate(names)
        bits = self._names.get(names)
        if bits is None:
            bits = evaluate(names)
            self._names.put(names, bits)
        return bits

    def _of_header(self, name: bytes, value: bytes) -> int:
        lens = self._lens(name.lower())
        scanned, _ = lens.scan.found(Values([value]))
        found = matching(lens.evaluated, value)
        for link, bit in lens.scanned:
            if scanned & bit and link.matches(value):
                found |= bit
        return found

    def _lens(self, name: bytes) -> _Lens:
        """What looks at headers of this name (lower case)."""
        if len(name) > _NAME_BYTES_MAX:
            return self._made_lens(name)
        lens = self._lenses.get(name)
        if lens is None:
            lens = self._made_lens(name)
            self._lenses.put(name, lens)
        return lens

    def _made_lens(self, name: bytes) -> _Lens:
        links = [one for one in self._links if any(target.covers(name) for target in one.link.targets)]
        scanned = [(one.link, one.bit) for one in links if one.scanned]
        wanted = 0
        for _, bit in scanned:
            wanted |= bit
        evaluated = [(one.link, one.bit) for one in links if not one.scanned]
        return _Lens(self._scan.only(wanted), tuple(scanned), tuple(evaluated))


def matching(links: Sequence[Bit], value: bytes) -> int:
    """The bits of the links that match on *value*."""
    found = 0
    for link, bit in links:
        if link.matches(value):
            found |= bit
    return found
