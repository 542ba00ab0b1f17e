"""The transformations of SecLang (``t:lowercase`` and its like), one table by lower-case name.

Each takes and returns bytes, takes time linear in its input, and returns the very object that it was given when
nothing changes, so that the engine can skip what follows with ``is``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TRANSFORMS: Final[Mapping[str, Callable[[bytes], bytes]]] = {}
