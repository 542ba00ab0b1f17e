"""Settings: which source wins, what is refused, and that all problems are said at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Config

from sample_app import create_app
from sample_app.config import REGION_HOSTS, SettingsError, configure

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = ("localhost", "127.0.0.1")


def settle(given: dict[str, object] | None = None) -> tuple[Any, Config]:
    config = Config(root_path="")
    return configure(config, given, "/srv/instance"), config


def problems(given: dict[str, object]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        settle(given)
    return caught.value.problems


def test_defaults_make_a_local_run_work() -> None:
    settings, config = settle()

    assert settings.api_hosts == (*REGION_HOSTS, *LOCAL)
    assert settings.database_url == "sqlite:////srv/instance/control-plane.sqlite3"
    assert settings.cron_secret == ""
    assert config["BSGUARD_MODE"] == "enforce"
    assert config["BSGUARD_SURFACES"] == [
        {"name": "api", "kind": "api", "hosts": [*REGION_HOSTS, *LOCAL], "prefixes": ["/v1"]}
    ]


def test_the_environment_beats_defaults_and_the_mapping_beats_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_PLANE_API_HOSTS", "api.example.com, api.example.org")
    monkeypatch.setenv("BSGUARD_MODE", "monitor")
    assert settle()[0].api_hosts == (*REGION_HOSTS, "api.example.com", "api.example.org")
    assert settle()[1]["BSGUARD_MODE"] == "monitor"

    settings, config = settle({"CONTROL_PLANE_API_HOSTS": ["b.example.com"], "BSGUARD_MODE": "off"})
    assert settings.api_hosts == (*REGION_HOSTS, "b.example.com")
    assert config["BSGUARD_MODE"] == "off"


def test_own_settings_are_text_and_the_guards_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = "1" * 40
    monkeypatch.setenv("CONTROL_PLANE_CRON_SECRET", digits)
    monkeypatch.setenv("BSGUARD_TRUSTED_PROXIES", '["10.0.0.0/8"]')
    monkeypatch.setenv("BSGUARD_REGION", "eu")
    monkeypatch.setenv("BSGUARD_PROTOCOL_RULE_MODES__protocol.method", "monitor")
    settings, config = settle()

    assert (settings.cron_secret, settings.region) == (digits, "eu")
    assert config["BSGUARD_TRUSTED_PROXIES"] == ["10.0.0.0/8"]
    assert config["BSGUARD_PROTOCOL_RULE_MODES"] == {"protocol.method": "monitor"}
    assert not [name for name in config if name in ("MODE", "REGION", "CRON_SECRET")]


@pytest.mark.parametrize("hosts", ["", " , ", [], ()])
def test_no_hosts_leaves_the_regions(hosts: object) -> None:
    assert settle({"CONTROL_PLANE_API_HOSTS": hosts})[0].api_hosts == REGION_HOSTS


def test_surfaces_given_are_kept() -> None:
    surfaces = [{"name": "mine", "kind": "api", "prefixes": ["/v1"]}]

    assert settle({"BSGUARD_SURFACES": surfaces})[1]["BSGUARD_SURFACES"] == surfaces


REFUSED = [
    ({"CONTROL_PLANE_DATABASE_URL": "not a url"}, "not a database URL"),
    ({"CONTROL_PLANE_DATABASE_URL": 5}, "not a database URL"),
    ({"CONTROL_PLANE_DATABASE_URL": "mysql://user:hunter2@db/x"}, "must begin with one of sqlite, postgresql+psycopg."),
    ({"CONTROL_PLANE_DATABASE_URL": "sqlite://"}, "must name a file"),
    ({"CONTROL_PLANE_DATABASE_URL": "sqlite:///:memory:"}, "must name a file"),
    ({"CONTROL_PLANE_API_HOSTS": "localhost:8000"}, "without port"),
    ({"CONTROL_PLANE_API_HOSTS": "Example.COM"}, "lower-case"),
    ({"CONTROL_PLANE_API_HOSTS": "https://x"}, "'https://x'"),
    ({"CONTROL_PLANE_API_HOSTS": ["-x"]}, "host name"),
    ({"CONTROL_PLANE_API_HOSTS": [1]}, "as a list or separated by commas"),
    ({"CONTROL_PLANE_API_HOSTS": None}, "as a list or separated by commas"),
    ({"CONTROL_PLANE_CRON_SECRET": "short"}, "at least 32"),
    ({"CONTROL_PLANE_CRON_SECRET": "\u00fc" * 32}, "ASCII"),
    ({"CONTROL_PLANE_CRON_SECRET": None}, "must be text"),
    ({"CONTROL_PLANE_DATABASE_URI": "sqlite:///x"}, "Did you mean CONTROL_PLANE_DATABASE_URL?"),
    ({"CONTROL_PLANE_COLOUR": "red"}, "CONTROL_PLANE_COLOUR is not a setting."),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_is_refused(given: dict[str, object], said: str) -> None:
    found = problems(given)

    assert len(found) == 1
    assert said in found[0]
    assert "hunter2" not in found[0]


def test_all_refusals_were_there() -> None:
    assert len(REFUSED) == 16


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(SettingsError, match="The control plane cannot start") as caught:
        settle(
            {
                "CONTROL_PLANE_DATABASE_URL": "sqlite://",
                "CONTROL_PLANE_API_HOSTS": "a:1,b:2",
                "CONTROL_PLANE_CRON_SECRET": "x",
                "CONTROL_PLANE_X": 1,
            }
        )

    assert len(caught.value.problems) == 5
    assert str(caught.value).count("\n  - ") == 5


def test_a_nested_variable_in_a_plain_setting_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSGUARD_REGION", "5")
    monkeypatch.setenv("BSGUARD_REGION__X", "1")

    assert "BSGUARD_" in problems({})[0]


def test_the_servers_variables_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BIND", "WORKERS", "THREADS", "FORWARDED_ALLOW_IPS"):
        monkeypatch.setenv(f"CONTROL_PLANE_{name}", "1")

    settle()


def test_making_an_app_writes_no_database(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data.sqlite3"
    app = create_app({"CONTROL_PLANE_DATABASE_URL": f"sqlite:///{path}", "BSGUARD_STATE_DIR": str(tmp_path / "guard")})

    assert not path.exists()
    assert app.test_client().get("/v1/health").status_code == 200
    assert path.exists()
    assert path.parent.stat().st_mode & 0o077 == 0
    app.extensions["control_plane"].database.dispose()


def test_the_region_is_shown_by_health(make_service: Any) -> None:
    response = make_service(BSGUARD_REGION="jp").call("GET", "/v1/health")

    assert response.get_json()["data"]["region"] == "jp"
