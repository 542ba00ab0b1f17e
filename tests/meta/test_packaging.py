"""What is built and installed: the files of the package, its entry points, its version, and the names of settings."""

from __future__ import annotations

import ast
import configparser
import itertools
import re
from fnmatch import fnmatchcase
from importlib import metadata
from importlib.metadata import EntryPoint

import click
import pytest
from setuptools import find_packages

import bsguard
from bsguard.core.config import settings_of
from bsguard.core.settings import Settings
from tests.meta.support import GROUPS, PACKAGE, ROOT, SETTINGS


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_file_of_the_package_is_in_the_wheel(setup: configparser.ConfigParser) -> None:
    packages = set(find_packages(str(ROOT), include=setup["options.packages.find"]["include"].split()))
    patterns = {package: lines.split() for package, lines in setup["options.package_data"].items()}
    missing, looked = [], 0
    for path in (ROOT / "bsguard").rglob("*"):
        if path.is_dir() or path.suffix == ".pyc":
            continue
        looked += 1
        parents = [parent for parent in path.parents if parent.is_relative_to(ROOT / "bsguard")]
        names = {".".join(parent.relative_to(ROOT).parts): path.relative_to(parent).as_posix() for parent in parents}
        is_module = path.suffix == ".py" and ".".join(path.parent.relative_to(ROOT).parts) in packages
        is_data = any(fnmatchcase(names[one], pattern) for one in names for pattern in patterns.get(one, ()))
        if not is_module and not is_data:
            missing.append(path.relative_to(ROOT).as_posix())

    assert missing == [], "a folder of modules needs __init__.py, other files need a line under options.package_data"
    assert looked > 50
    assert {name.partition(".")[0] for name in packages} == {"bsguard"}


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").read_text(encoding="utf-8") == ""


def test_entry_points_load(setup: configparser.ConfigParser) -> None:
    declared = {
        (group, name.strip(), value.strip())
        for group, lines in setup["options.entry_points"].items()
        for name, value in (line.split("=") for line in lines.strip().splitlines())
    }

    assert {(group, name) for group, name, _ in declared} == {
        ("flask.commands", "bsguard"),
        ("console_scripts", "bsguard"),
    }
    for group, name, value in declared:
        assert isinstance(EntryPoint(name, value, group).load(), click.Group)


def test_the_installed_package_says_the_same_as_the_checkout() -> None:
    installed = metadata.distribution("bsguard")
    groups = {entry.group for entry in installed.entry_points if entry.name == "bsguard"}

    assert installed.version == bsguard.__version__
    assert groups == {"flask.commands", "console_scripts"}
    assert installed.metadata["Requires-Python"] == ">=3.11"


def test_the_changelog_has_the_current_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    versions = [heading.split()[0] for heading in headings]

    assert versions[0] == "Unreleased"
    assert bsguard.__version__ in versions
    assert len(versions) == len(set(versions))


def test_the_version_is_told_without_importing_anything() -> None:
    tree = ast.parse((PACKAGE / "_version.py").read_text(encoding="utf-8"))

    assert not any(isinstance(node, (ast.Import, ast.ImportFrom, ast.Call)) for node in ast.walk(tree))


def test_run_can_be_read_by_an_old_python() -> None:
    text = (ROOT / "run").read_text(encoding="utf-8")

    ast.parse(text, feature_version=(3, 8))
    # Newer grammar that the parser lets through, and 3.6 does not have.
    tree = ast.parse(text)
    assert not any(isinstance(node, ast.NamedExpr) for node in ast.walk(tree))
    assert not any(node.posonlyargs for node in ast.walk(tree) if isinstance(node, ast.arguments))
    assert "from __future__ import annotations" not in text


def test_names_of_layers_and_settings_cannot_be_taken_for_one_another() -> None:
    prefixes = [prefix for prefix in GROUPS if prefix]
    clashes = [(one, other) for one, other in itertools.permutations(prefixes, 2) if other.startswith(one)]
    clashes += [(key, prefix) for key in settings_of(Settings) for prefix in prefixes if f"{key}_".startswith(prefix)]

    assert clashes == []
    assert len(prefixes) >= 3
    assert len(SETTINGS) == sum(len(settings_of(cls)) for cls in GROUPS.values())


@pytest.mark.parametrize("name", SETTINGS)
def test_names_of_settings_carry_their_unit_and_bound_last(name: str) -> None:
    words = name.split("_")
    units = {"BYTES", "COUNT", "SECONDS", "ROWS", "DEPTH", "RATIO", "MS", "SCORE"}

    assert not ({"MAX", "MIN"} & set(words[:-1])), "the bound comes last"
    if words[-1] in ("MAX", "MIN"):
        assert words[-2] in units
