"""Every mutant on the list makes the suite fail, and the suite passes without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

import bsguard.billing
from tests.billing.processes import ROOT

PACKAGE = Path(bsguard.billing.__file__).parent


@dataclass(frozen=True)
class Mutant:
    """Texts of a file replaced by others, and the tests that must notice."""

    name: str
    file: str
    change: list[list[str]]
    tests: str
    choose: str


MUTANTS = [Mutant(**one) for one in tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())["mutant"]]
# Exit codes of pytest: https://docs.pytest.org/en/stable/reference/exit-codes.html
PASSED, FAILED = 0, 1


def run(folder: Path, tests: str, choose: str) -> subprocess.CompletedProcess[str]:
    """The chosen tests on the copy in *folder*."""
    command = [sys.executable, "-m", "pytest", f"tests/billing/{tests}.py", "-x", "-q", "-p", "no:cacheprovider"]
    chosen = ["-k", choose] if choose else []
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*command, "-m", "not slow", *chosen],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutants")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE.parent, folder / "bsguard", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "billing", folder / "tests" / "billing", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_list_is_whole_and_every_mutant_still_fits() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) == 55
    for mutant in MUTANTS:
        source = (PACKAGE / mutant.file).read_text()
        for old, _ in mutant.change:
            assert old in source, f"{mutant.name}: its text is not in {mutant.file} any more"


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_mutant_is_killed(copy: Path, mutant: Mutant) -> None:
    path = copy / "bsguard" / "billing" / mutant.file
    source = path.read_text()
    broken = source
    for old, new in mutant.change:
        broken = broken.replace(old, new)
    path.write_text(broken)
    try:
        shown = run(copy, mutant.tests, mutant.choose)
    finally:
        path.write_text(source)

    assert shown.returncode == FAILED, f"it survived {mutant.tests} -k '{mutant.choose}':\n{shown.stdout[-2000:]}"
    # By a test that ran and failed, not by a module that could not be imported.
    assert " failed" in shown.stdout or " error" in shown.stdout
    assert "ImportError" not in shown.stdout
    assert "SyntaxError" not in shown.stdout


@pytest.mark.long
def test_without_a_mutant_the_same_tests_pass(copy: Path) -> None:
    for tests in sorted({mutant.tests for mutant in MUTANTS}):
        chosen = " or ".join(f"({mutant.choose})" for mutant in MUTANTS if mutant.tests == tests and mutant.choose)
        shown = run(copy, tests, chosen)
        assert shown.returncode == PASSED, shown.stdout[-3000:]
        assert " passed" in shown.stdout
