"""Samples in the documentation are run: what a reader copies works."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.cli.source import read_file
from tests.meta.support import DOCS, PACKAGE, ROOT, Sample, name_of, pages, samples

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = {"python", "console", "json", "toml", "yaml", "nginx", "sql", "apache", ""}
ALL = [sample for page in pages() for sample in samples(page)]
PYTHON = {str(sample): sample for sample in ALL if sample.language == "python"}
WITH_PYTHON = {name_of(sample.page): sample.page for sample in PYTHON.values()}

_SECONDS_MAX = 60.0
_TITLE = re.compile(r"# (\w[\w.-]*\.\w+)\n")


def environment(page: Path) -> dict[str, str]:
    """The variables that the page tells its reader to export, and the package under test."""
    lines = [line for sample in samples(page) if sample.language == "console" for line in sample.text.splitlines()]
    exported = [shlex.split(line.removeprefix("$ export "))[0] for line in lines if line.startswith("$ export ")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BSGUARD_", "FLASK_"))}
    return {**clean, "PYTHONPATH": str(PACKAGE.parent), **dict(line.split("=", 1) for line in exported)}


def run_page(page: Path, folder: Path) -> list[dict[str, Any]]:
    """Run the page's Python samples in *folder*, where its titled files lie; what became of each."""
    for sample in samples(page):
        if sample.language in ("toml", "json", "yaml") and (title := _TITLE.match(sample.text)):
            (folder / title[1]).write_text(sample.text, encoding="utf-8")
    shutil.copy(ROOT / "tests/meta/run_page.py", folder)
    wanted = [
        {"page": name_of(page), "line": sample.line, "text": sample.text}
        for sample in samples(page)
        if sample.language == "python"
    ]
    done = subprocess.run(
        [sys.executable, "-W", "error", "run_page.py", "results.json"],
        cwd=folder,
        env=environment(page),
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert len(results) == len(wanted)
    return results


def test_samples_say_in_which_language_they_are() -> None:
    assert {str(sample): sample.language for sample in ALL if sample.language not in LANGUAGES} == {}
    assert len(PYTHON) > 50
    assert len(WITH_PYTHON) >= 11


@pytest.mark.parametrize("sample", PYTHON.values(), ids=PYTHON)
def test_a_python_sample_compiles(sample: Sample) -> None:
    ast.parse(sample.text, filename=str(sample))


@pytest.mark.parametrize("page", WITH_PYTHON.values(), ids=WITH_PYTHON)
def test_the_python_samples_of_a_page_run(page: Path, tmp_path: Path) -> None:
    results = run_page(page, tmp_path)
    written = [sample for sample in PYTHON.values() if sample.page == page]
    tests = [
        node.name
        for sample in written
        for node in ast.parse(sample.text).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]

    assert sum(result["tests"] for result in results) == len(tests)
    # What a sample prints stands on the page.
    for result in results:
        assert result["printed"].strip() in page.read_text(encoding="utf-8")


def test_settings_reach_the_guard_by_each_way_that_is_told(tmp_path: Path) -> None:
    page = DOCS / "howto/configure.md"
    results = run_page(page, tmp_path)
    written = [sample for sample in PYTHON.values() if sample.page == page]
    ways = {
        "from_object(": "TRUSTED_PROXIES",
        "from_mapping(\n": "STRIP_HEADERS",
        "from_file(": "TRUSTED_PROXIES",
        "from_prefixed_env()": "PROTOCOL_RULE_MODES",
        'from_prefixed_env("BSGUARD")': "TRUSTED_PROXIES",
    }
    reached = {
        way: any(
            way in sample.text and setting in result["settings"]
            for sample, result in zip(written, results, strict=True)
        )
        for way, setting in ways.items()
    }

    assert reached == dict.fromkeys(ways, True)
    assert any("2 problems" in result["printed"] for result in results)


def test_settings_files_are_taken_by_the_command_line(tmp_path: Path) -> None:
    ran = 0
    for sample in ALL:
        if sample.language == "toml":
            path = tmp_path / "settings.toml"
            path.write_text(sample.text, encoding="utf-8")
            ran += 1

            assert tomllib.loads(sample.text)
            assert read_file(path).settings.mode == "enforce", f"{sample}"

    assert ran >= 2


def test_json_samples_are_json() -> None:
    ran = 0
    for sample in ALL:
        if sample.language == "json":
            json.loads(sample.text)
            ran += 1

    assert ran >= 3
