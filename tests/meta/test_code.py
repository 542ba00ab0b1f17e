"""Habits of the code that no linter of ours checks: what it may not do, what it must say, how long it may be."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import bsguard
from tests.meta.support import PACKAGE, ROOT, files, name_of, sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400

MODULES = {f"bsguard/{path.relative_to(PACKAGE).as_posix()}": path for path in sources()}
OURS = {name_of(path): path for path in [*files(".py"), ROOT / "run"]}

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What a library may not do to the program that uses it.
_CALLS = {
    "print": "a library does not print",
    "exit": "a library does not end the program",
    "quit": "a library does not end the program",
    "sys.exit": "a library does not end the program",
    "os._exit": "a library does not end the program",
    "breakpoint": "left over from debugging",
    "logging.basicConfig": "logging is configured by the application",
    "basicConfig": "logging is configured by the application",
    "warnings.simplefilter": "filters are set by the application",
}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def offences(tree: ast.AST) -> Iterator[str]:
    """What is forbidden in a package, as lines with reasons."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{node.lineno}: assert is gone under -O; raise an error"
        elif isinstance(node, ast.Call) and (reason := _CALLS.get(ast.unparse(node.func))):
            yield f"{node.lineno}: {ast.unparse(node.func)}: {reason}"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{node.lineno}: a bare except also takes the end of the program"


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public modules, classes and functions without a docstring; what is inside of a private one is private."""
    if not ast.get_docstring(tree):
        yield "the module"
    waiting: list[tuple[str, ast.AST]] = [("", node) for node in tree.body]
    while waiting:
        prefix, node = waiting.pop(0)
        if not isinstance(node, (ast.ClassDef, *_FUNCTIONS)) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield f"{node.lineno}: {prefix}{node.name}"
        if isinstance(node, ast.ClassDef):
            waiting += [(f"{prefix}{node.name}.", inner) for inner in node.body]


def explained(node: ast.AST, text: str) -> bool:
    """Whether the docstring, or the comment that the file or function begins with, says why it is longer."""
    documented = ast.get_docstring(node) if isinstance(node, (ast.Module, *_FUNCTIONS)) else ""
    opening = "".join(line for line in text.splitlines()[:12] if line.lstrip().startswith("#"))
    return "longer than" in f"{documented or ''}{opening}".lower()


def too_long(path: Path) -> Iterator[str]:
    """Functions, and the file itself, that are past their bound and do not say why."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    tree = ast.parse(text)
    if len(lines) > FILE_LINES_MAX and not explained(tree, text):
        yield f"the file has {len(lines)} lines"
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            own = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            if length > FUNCTION_LINES_MAX and not explained(node, own):
                yield f"{node.lineno}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_a_module_does_nothing_that_is_its_users_to_do(path: Path) -> None:
    assert list(offences(parsed(path))) == []


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_public_names_of_a_module_have_docstrings(path: Path) -> None:
    assert list(undocumented(parsed(path))) == []


@pytest.mark.parametrize("path", OURS.values(), ids=OURS)
def test_files_and_functions_stay_short_or_say_why_not(path: Path) -> None:
    assert list(too_long(path)) == []


@pytest.mark.parametrize("name", sorted(bsguard._HOMES))
def test_a_public_name_is_there_with_a_docstring(name: str) -> None:
    value = getattr(bsguard, name)

    assert inspect.getdoc(value)
    assert getattr(import_module(bsguard._HOMES[name]), name) is value
    assert name in dir(bsguard)


def test_public_names_are_the_same_for_people_and_type_checkers() -> None:
    tree = parsed(PACKAGE / "__init__.py")
    checked = next(node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    homes = {
        name.asname: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    # Typing's own names serve the file itself.
    homes = {name: module for name, module in homes.items() if name is not None}

    assert homes == bsguard._HOMES
    assert len(homes) >= 8


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Firewall'"):
        bsguard.Firewall  # noqa: B018


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    # Spelled in pieces, so that this file does not name one itself.
    folders = "|".join(("ho" + "me/", "ro" + "ot/", "Us" + "ers/", "wo" + "rk/"))
    pattern = re.compile(rf"(?<![\w.:/-])/(?:{folders})")
    looked = 0
    found = []
    for path in files():
        if name_of(path).startswith(("tests/waf/", "bsguard/waf/rules/")):
            continue  # such folders are what attackers ask for
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or another file that is not text
        looked += 1
        found += [
            f"{name_of(path)}:{number}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)
        ]

    assert found == []
    assert looked > 100


def test_the_checks_see_what_they_are_made_for(tmp_path: Path) -> None:
    bad = "def run():\n    assert True\n    print(1)\n    sys.exit()\n    try: ...\n    except: ...\n"
    good = '"""What it is."""\ndef _run():\n    raise SystemExit\n'
    long = tmp_path / "long.py"
    long.write_text("def run():\n" + "    pass\n" * 400)
    reasoned = tmp_path / "reasoned.py"
    reasoned.write_text('"""Longer than others, because."""\n' + "x = 1\n" * 400)

    assert len(list(offences(ast.parse(bad)))) == 4
    assert list(offences(ast.parse(good))) == []
    assert list(undocumented(ast.parse(bad))) == ["the module", "1: run"]
    assert list(undocumented(ast.parse(good))) == []
    assert len(list(too_long(long))) == 2
    assert list(too_long(reasoned)) == []
    assert len(MODULES) > 50
    assert len(OURS) > 100
