"""Profiles: which rules cannot work for a parameter, because honest values of it look like what they stop."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.core import readers
from bsguard.core.config import Wanted
from bsguard.core.exemptions import Parameter

if TYPE_CHECKING:
    from bsguard.core.paths import PathPattern

#: Profiles by name, each with the tag of the rules that it leaves out.
PROFILES: Final[Mapping[str, str]] = {"free_text": "not-free-text", "secret": "not-secret"}
_KEYS: Final = frozenset({"path", "parameter", "profile"})
_COLLECTION: Final = re.compile(r"(?:ARGS|REQUEST_COOKIES|REQUEST_HEADERS|XML):.+", re.DOTALL)
#: How the engine numbers the items of a JSON array.
_ITEM: Final = re.compile(r"\.array_(\d+)")


@dataclass(frozen=True, slots=True)
class Profile:
    """One entry of ``BSGUARD_WAF_PROFILES``."""

    #: Tag of the rules that do not look at the parameter.
    tag: str
    parameter: Parameter
    #: Where; None for every path.
    path: PathPattern | None = None

    @classmethod
    def parse(cls, item: object) -> Profile:
        """Read one entry from a mapping; :class:`Wanted` says what is wrong."""
        if isinstance(item, Profile):
            return item
        if not isinstance(item, Mapping):
            raise Wanted("a mapping")
        if set(item) - _KEYS:
            raise Wanted("only the keys " + ", ".join(sorted(_KEYS)))
        name = item.get("profile")
        if not isinstance(name, str) or name not in PROFILES:
            raise Wanted('"profile": one of ' + ", ".join(f'"{profile}"' for profile in PROFILES))
        text = item.get("parameter")
        if not isinstance(text, str) or not text.strip("*. "):
            raise Wanted('"parameter": a name such as "comment", "messages.*.content" or "REQUEST_COOKIES:draft"')
        path = readers.path_pattern(item["path"]) if "path" in item else None
        return cls(PROFILES[name], Parameter.parse(text if _COLLECTION.fullmatch(text) else f"ARGS:{text}"), path)

    def fits(self, key: bytes) -> bool:
        """Whether the entry *key* of its collection is meant: a field by its name, a JSON member by its path."""
        name = key.decode("utf-8", "backslashreplace")
        if self.parameter.collection == "ARGS":
            name = _ITEM.sub(r".\1", name.removeprefix("json."))
        return self.parameter.fits(name)
