"""gunicorn with the settings that come with the app."""

from __future__ import annotations

import http.client
import os
import re
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.sample_app.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = ROOT / "sample_app" / "gunicorn.conf.py"
COMMAND = [sys.executable, "-m", "gunicorn", "-c", str(SETTINGS), "sample_app:create_app()"]

pytest.importorskip("gunicorn", reason="gunicorn is not installed")


def loaded() -> dict[str, Any]:
    return runpy.run_path(str(SETTINGS))


def environment(folder: Path, **more: str) -> dict[str, str]:
    return os.environ | {
        "CONTROL_PLANE_DATABASE_URL": f"sqlite:///{folder}/data.sqlite3",
        "BSGUARD_STATE_DIR": str(folder / "guard"),
        **more,
    }


def test_every_setting_is_one_of_gunicorns() -> None:
    from gunicorn.config import Config

    config = Config()
    names = {name for name in loaded() if not name.startswith("__") and name not in ("os", "Any", "annotations")}
    for name in names:
        config.set(name, loaded()[name])

    assert len(names) == 19
    assert names <= set(config.settings)


def test_trusts_nobody_and_listens_to_this_machine_only() -> None:
    settings = loaded()

    assert settings["bind"] == "127.0.0.1:8000"
    assert settings["forwarded_allow_ips"] == ""
    assert settings["forwarder_headers"] == ""
    assert settings["header_map"] == "refuse"
    assert settings["http_parser"] == "python"


def test_deployments_change_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BIND": "0.0.0.0:80",
        "WORKERS": "7",
        "THREADS": "3",
        "FORWARDED_ALLOW_IPS": "10.0.0.1",
    }.items():
        monkeypatch.setenv(f"CONTROL_PLANE_{name}", value)
    settings = loaded()

    changed = [settings[name] for name in ("bind", "workers", "threads", "forwarded_allow_ips")]
    assert changed == ["0.0.0.0:80", "7", "3", "10.0.0.1"]


@pytest.mark.server
def test_serves_from_the_root_of_the_repository(tmp_path: Path) -> None:
    process = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=environment(tmp_path, CONTROL_PLANE_BIND="127.0.0.1:0"),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        # Connections are queued from this line on, so there is nothing to wait for after it.
        line = next(line for line in process.stderr if "Listening at" in line)
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found is not None
        statuses = [
            status(int(found[1]), headers) for headers in ({}, {"X_Account_Id": "demo"}, {"Host": "evil.example"})
        ]
    finally:
        process.terminate()
        process.communicate(timeout=30)

    assert statuses == [200, 400, 421]
    assert process.returncode == 0


def status(port: int, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/v1/health", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_settings_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    checked = subprocess.run(
        [*COMMAND, "--check-config"],
        cwd=ROOT,
        env=environment(tmp_path, CONTROL_PLANE_API_HOSTS="a:1,b:2"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode != 0
    assert "The control plane cannot start" in checked.stderr
