"""Reads an OpenAPI document and the files it refers to into one self-contained mapping.

Files are read from the document's own folder and nowhere else: a reference that leads out of it, or to the network,
is a problem. What a file refers to is put under :data:`FILES` in the document, so that everything after this sees
local references only. Every problem has a file, a JSON pointer (RFC 6901) and a remedy.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from bsguard.contract.pointers import escape, resolve
from bsguard.core.config import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Where the referenced files stand in the loaded document.
FILES: Final = "x-bsguard-files"
#: The largest descriptions in public use have 13 MB.
DOCUMENT_BYTES_MAX: Final = 64 * 1024 * 1024
DOCUMENT_FILES_COUNT_MAX: Final = 1_000
#: Aliases let a small YAML file stand for a huge one.
_NODES_MAX: Final = 3_000_000
_DEPTH_MAX: Final = 200

#: Keys whose value maps names, so that the names below are no keywords.
_NAMED: Final = frozenset(
    """
    properties patternProperties $defs definitions dependentSchemas schemas responses headers parameters
    requestBodies securitySchemes links callbacks pathItems paths webhooks content encoding variables
    """.split()  # noqa: SIM905  words read better than a column of quotes
)
#: Keys whose value is data of the user's and holds no references.
_DATA: Final = frozenset({"example", "examples", "default", "enum", "const", "value"})


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """One thing wrong with a document."""

    file: str
    #: JSON pointer into the file.
    pointer: str
    message: str
    #: What to do.
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}#{self.pointer}" if self.pointer else self.file
        return f"{place}: {self.message}" + (f"; {self.remedy}" if self.remedy else "")


class DocumentError(Exception):
    """A document cannot be used; ``problems`` has all that was found."""

    def __init__(self, problems: list[DocumentProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True, slots=True)
class Document:
    """A loaded document: one mapping with local references only."""

    name: str
    data: dict[str, Any]
    #: SHA-256 of every file that it was made from, by path relative to the document's folder.
    files: tuple[tuple[str, str], ...] = ()

    @property
    def version(self) -> str:
        """``3.0``, ``3.1`` or ``3.2``."""
        return str(self.data.get("openapi", ""))[:3]

    def where(self, pointer: str) -> tuple[str, str]:
        """The file and the pointer within it that *pointer* of the loaded document stands for."""
        parts = pointer.split("/")
        if len(parts) > 2 and parts[1] == FILES:
            name = next(name for index, (name, _) in enumerate(self.files[1:]) if str(index) == parts[2])
            return name, "/".join(["", *parts[3:]]) if len(parts) > 3 else ""
        return self.name, pointer

    def problem(self, pointer: str, message: str, remedy: str = "") -> DocumentProblem:
        """A problem at *pointer* of the loaded document."""
        return DocumentProblem(*self.where(pointer), message, remedy)


def load(path: Path) -> Document:
    """Read the document at *path*; raises :class:`DocumentError` with all problems."""
    return _Loader(path).load()


@dataclass(slots=True)
class _Loader:
    path: Path
    problems: list[DocumentProblem] = field(default_factory=list)
    #: Referenced files in the order they were met, the document itself not among them.
    order: list[Path] = field(default_factory=list)
    digests: dict[Path, str] = field(default_factory=dict)
    nodes: int = 0

    def load(self) -> Document:
        root = self._read(self.path)
        if root is None:
            raise DocumentError(self.problems)
        self._check_version(root)
        if self.problems:
            raise DocumentError(self.problems)
        data = self._bundled(root, self.path, "")
        parts: list[Any] = []
        while len(parts) < len(self.order):
            index = len(parts)
            loaded = self._read(self.order[index])
            parts.append(None if loaded is None else self._bundled(loaded, self.order[index], f"/{FILES}/{index}"))
        if parts:
            data[FILES] = parts
        folder = self.path.resolve().parent
        files = [(self.path.name, self.digests[self.path.resolve()])]
        files += [(str(one.relative_to(folder)), self.digests.get(one, "")) for one in self.order]
        document = Document(self.path.name, data, tuple(files))
        if not self.problems:
            self.problems += _dangling(document)
        if self.problems:
            raise DocumentError(self.problems)
        return document

    def _read(self, path: Path) -> Any:
        def fail(message: str, remedy: str = "") -> None:
            self.problems.append(DocumentProblem(self._name(path), "", message, remedy))

        try:
            if path.stat().st_size > DOCUMENT_BYTES_MAX:
                return fail(f"larger than {DOCUMENT_BYTES_MAX:,} bytes", "split it into several documents")
            raw = path.read_bytes()
        except OSError as error:
            return fail(
                f"cannot be read ({error.strerror})", "name an existing file, relative to the working directory"
            )
        self.digests[path.resolve()] = hashlib.sha256(raw).hexdigest()
        try:
            return parse(raw, path.suffix)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            return fail(f"is not {'JSON' if path.suffix == '.json' else 'YAML'}: {reason}", "mend it at that line")

    def _check_version(self, root: Any) -> None:
        if not isinstance(root, dict):
            message, remedy = "is no OpenAPI document: wanted a mapping", ""
        elif "swagger" in root:
            message, remedy = "is a Swagger 2.0 document", "convert it to OpenAPI 3.0 or 3.1"
        elif str(root.get("openapi", ""))[:4] not in ("3.0.", "3.1.", "3.2."):
            message, remedy = "names no version of OpenAPI that is known", 'begin it with "openapi: 3.1.0"'
        else:
            return
        self.problems.append(DocumentProblem(self._name(self.path), "", message, remedy))

    def _bundled(self, node: Any, file: Path, prefix: str) -> Any:
        """A copy of *node* with every reference turned into a local one."""
        return self._copy(node, file, prefix, "", named=False, depth=0)

    def _copy(self, node: Any, file: Path, prefix: str, pointer: str, *, named: bool, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > _NODES_MAX or depth > _DEPTH_MAX:
            problem = DocumentProblem(self._name(file), "", "too large or too deep when its aliases are written out")
            raise DocumentError([*self.problems, problem])
        if isinstance(node, list):
            return [
                self._copy(item, file, prefix, f"{pointer}/{index}", named=False, depth=depth + 1)
                for index, item in enumerate(node)
            ]
        if not isinstance(node, dict):
            return node
        made: dict[str, Any] = {}
        for key, value in node.items():
            below = f"{pointer}/{escape(str(key))}"
            if not named and key == "$ref" and isinstance(value, str):
                made[key] = self._local(value, file, prefix, pointer)
            elif not named and key == "mapping" and isinstance(value, dict):
                made[key] = {name: self._mapped(one, file, prefix, below) for name, one in value.items()}
            elif not named and key == "defaultMapping":
                made[key] = self._mapped(value, file, prefix, below)
            elif not named and key in _DATA:
                made[key] = value
            else:
                maps = not named and key in _NAMED
                made[str(key)] = self._copy(value, file, prefix, below, named=maps, depth=depth + 1)
        return made

    def _mapped(self, value: Any, file: Path, prefix: str, pointer: str) -> Any:
        """A discriminator's mapping has names of schemas, or references."""
        is_reference = isinstance(value, str) and ("/" in value or "#" in value or "." in value)
        return self._local(value, file, prefix, pointer) if is_reference else value

    def _local(self, reference: str, file: Path, prefix: str, pointer: str) -> str:
        name, mark, fragment = reference.partition("#")
        if not name:
            return f"#{prefix}{fragment}" if fragment.startswith("/") or not fragment else reference
        remedy = "copy what is needed into the document's folder"
        if ":" in name.split("/")[0] or name.startswith("//"):
            return self._refuse(file, pointer, "refers to another place than the document's folder", remedy)
        target = (file.resolve().parent / unquote(name)).resolve()
        if not target.is_relative_to(self.path.resolve().parent):
            return self._refuse(file, pointer, "refers to a file outside the document's folder", remedy)
        if mark and fragment and not fragment.startswith("/"):
            return self._refuse(file, pointer, "refers to an anchor of another file", "use a JSON pointer")
        if target == self.path.resolve():
            return f"#{fragment}"
        if target not in self.order:
            if len(self.order) >= DOCUMENT_FILES_COUNT_MAX:
                return self._refuse(file, pointer, f"refers to more than {DOCUMENT_FILES_COUNT_MAX:,} files", "")
            self.order.append(target)
        return f"#/{FILES}/{self.order.index(target)}{fragment}"

    def _refuse(self, file: Path, pointer: str, message: str, remedy: str) -> str:
        self.problems.append(DocumentProblem(self._name(file), pointer, message, remedy))
        return "#"

    def _name(self, path: Path) -> str:
        folder = self.path.resolve().parent
        whole = path.resolve()
        return str(whole.relative_to(folder)) if whole.is_relative_to(folder) else path.name


def parse(raw: bytes, suffix: str) -> Any:
    """The content of a file; ValueError says where it is broken. Keys are unique text, and dates stay text."""
    if suffix == ".json":
        return json.loads(raw, object_pairs_hook=_unique)
    import yaml

    try:
        return yaml.load(raw, Loader=_yaml_loader())  # noqa: S506  a SafeLoader, made below
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return made


def _yaml_loader() -> Any:
    """A safe loader that reads YAML as OpenAPI wants it (§4.2): JSON's values only, and keys that are unique text."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """JSON's values, unique keys."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
            self.flatten_mapping(node)
            made: dict[str, Any] = {}
            for key_node, value_node in node.value:
                # `200:` and `on:` are names here, whatever they look like.
                key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
                if not isinstance(key_node, yaml.ScalarNode) or key in made:
                    what = "a key that is no text" if not key else f"the key {key!r} twice"
                    raise yaml.constructor.ConstructorError(None, None, f"found {what}", key_node.start_mark)
                made[key] = self.construct_object(value_node, deep=deep)
            return made

    wanted = {"tag:yaml.org,2002:bool": "tTfF", "tag:yaml.org,2002:timestamp": ""}
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if first in wanted.get(tag, first)]
        for first, pairs in base.yaml_implicit_resolvers.items()
    }
    Loader.add_constructor("tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node, deep=True))
    return Loader


def _dangling(document: Document) -> Iterator[DocumentProblem]:
    """References that point to nothing. Below an ``$id`` they are relative to it, and left to the compiler."""
    found: list[tuple[str, str]] = []
    _references(document.data, "", lambda pointer, reference: found.append((pointer, reference)))
    for pointer, reference in found:
        if reference.startswith("#/") and resolve(document.data, unquote(reference[1:])) is None:
            above, _, name = unquote(reference[1:]).rpartition("/")
            close = nearest(name, _keys(resolve(document.data, above)))
            remedy = f"did you mean #{above}/{close}?" if close else "mend the pointer"
            yield document.problem(pointer, f"refers to {reference}, which does not exist", remedy)


def _keys(node: Any) -> list[str]:
    return [str(key) for key in node] if isinstance(node, dict) else []


def _references(node: Any, pointer: str, note: Callable[[str, str], object], *, named: bool = False) -> None:
    if isinstance(node, list):
        for index, item in enumerate(node):
            _references(item, f"{pointer}/{index}", note)
    elif isinstance(node, dict):
        if not named and ("$id" in node or "$schema" in node):
            return
        for key, value in node.items():
            if not named and key == "$ref" and isinstance(value, str):
                note(pointer, value)
            elif named or key not in _DATA:
                _references(value, f"{pointer}/{escape(key)}", note, named=not named and key in _NAMED)
