"""Settings from wherever Flask takes them. The keys in ``app.config`` always begin with ``BSGUARD_``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import BSGuard, ConfigError
from bsguard.extension import guard_of
from tests.flask_ext.support import cases

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from bsguard.standard import Plan


class Production:
    """A settings object as projects write it."""

    DEBUG = False
    BSGUARD_MODE = "enforce"
    BSGUARD_EVENTS_STORED = False
    BSGUARD_TRUSTED_PROXIES = ("10.0.0.0/8",)
    BSGUARD_PROTOCOL_TARGET_BYTES_MAX = 4096
    BSGUARD_PROTOCOL_RULE_MODES = {"protocol.expect": "monitor"}  # noqa: RUF012  as projects write it


def guarded(app: Flask) -> Plan:
    BSGuard(app)
    plan: Plan = guard_of(app).plan
    return plan


def is_production(plan: Plan) -> bool:
    return (
        plan.settings.mode == "enforce"
        and plan.settings.trusted_proxies.text == ("10.0.0.0/8",)
        and plan.layers["protocol"].target_bytes_max == 4096  # type: ignore[attr-defined]
        and plan.layers["protocol"].rule_modes == (("protocol.expect", "monitor"),)  # type: ignore[attr-defined]
        and plan.events.stored is False
    )


KEYS = {key: value for key, value in vars(Production).items() if key.startswith("BSGUARD_")}


def _object(app: Flask, _: Path) -> None:
    app.config.from_object(Production)


def _import_name(app: Flask, _: Path) -> None:
    app.config.from_object(f"{__name__}.Production")


def _mapping(app: Flask, _: Path) -> None:
    app.config.from_mapping(KEYS)


def _keywords(app: Flask, _: Path) -> None:
    app.config.from_mapping(**KEYS)


def _update(app: Flask, _: Path) -> None:
    app.config.update(KEYS)


def _pyfile(app: Flask, folder: Path) -> None:
    path = folder / "settings.py"
    path.write_text("\n".join(f"{key} = {value!r}" for key, value in KEYS.items()))
    app.config.from_pyfile(str(path))


def _json_file(app: Flask, folder: Path) -> None:
    path = folder / "settings.json"
    path.write_text(json.dumps(KEYS))
    app.config.from_file(str(path), load=json.load)


def _toml_file(app: Flask, folder: Path) -> None:
    import tomllib

    path = folder / "settings.toml"
    path.write_text(
        'BSGUARD_MODE = "enforce"\nBSGUARD_EVENTS_STORED = false\nBSGUARD_TRUSTED_PROXIES = ["10.0.0.0/8"]\n'
        "BSGUARD_PROTOCOL_TARGET_BYTES_MAX = 4096\n"
        '[BSGUARD_PROTOCOL_RULE_MODES]\n"protocol.expect" = "monitor"\n'
    )
    app.config.from_file(str(path), load=tomllib.load, text=False)


SOURCES = [
    ("from_object with a class", _object),
    ("from_object with an import name", _import_name),
    ("from_mapping", _mapping),
    ("from_mapping with keywords", _keywords),
    ("update", _update),
    ("from_pyfile", _pyfile),
    ("from_file, JSON", _json_file),
    ("from_file, TOML", _toml_file),
]


@pytest.mark.parametrize("row", cases(SOURCES, 8))
def test_settings_come_from_wherever_flask_takes_them(row: Any, make_app: Any, tmp_path: Path) -> None:
    app = make_app()
    row[1](app, tmp_path)

    assert is_production(guarded(app))


# --- the environment ------------------------------------------------------------------------------------------------


def test_from_the_environment_with_flask_s_own_prefix(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right call: ``app.config.from_prefixed_env()``, and variables named ``FLASK_BSGUARD_…``."""
    monkeypatch.setenv("FLASK_BSGUARD_MODE", "enforce")
    monkeypatch.setenv("FLASK_BSGUARD_EVENTS_STORED", "false")
    monkeypatch.setenv("FLASK_BSGUARD_TRUSTED_PROXIES", '["10.0.0.0/8"]')
    monkeypatch.setenv("FLASK_BSGUARD_PROTOCOL_TARGET_BYTES_MAX", "4096")
    monkeypatch.setenv("FLASK_BSGUARD_PROTOCOL_RULE_MODES", '{"protocol.expect": "monitor"}')
    app = make_app()
    app.config.from_prefixed_env()

    assert is_production(guarded(app))


def test_from_the_environment_with_the_project_s_prefix(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_BSGUARD_MODE", "enforce")
    app = make_app()
    app.config.from_prefixed_env("SHOP")

    assert guarded(app).settings.mode == "enforce"


def test_our_own_prefix_is_stripped_by_flask_so_the_guard_sees_nothing(
    make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wrong call, ``from_prefixed_env("BSGUARD")``: Flask puts ``MODE`` into its config, which is not ours."""
    monkeypatch.setenv("BSGUARD_MODE", "enforce")
    app = make_app()
    app.config.from_prefixed_env("BSGUARD")

    assert app.config["MODE"] == "enforce"
    assert guarded(app).settings.mode == "monitor"


def test_a_misspelt_variable_is_told(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_BSGUARD_MDOE", "enforce")
    app = make_app()
    app.config.from_prefixed_env()
    with pytest.raises(ConfigError, match="did you mean BSGUARD_MODE"):
        BSGuard(app)


# (id, key, text in the environment, attribute of the settings, value)
TEXTS = [
    ("a word", "MODE", "enforce", "mode", "enforce"),
    ("a number", "BODY_BYTES_MAX", "4194304", "body_bytes_max", 4_194_304),
    ("a list as JSON", "LAYERS", '["tenant"]', "layers", ("tenant",)),
    ("a list with commas", "LAYERS", "protocol, tenant", "layers", ("protocol", "tenant")),
    ("a list of one", "STRIP_HEADERS", "X-Tenant", "strip_headers", ("X-Tenant",)),
    ("an empty list", "STRIP_HEADERS", "[]", "strip_headers", ()),
    ("an empty text for a list", "STRIP_HEADERS", "", "strip_headers", ()),
    ("false", "ENABLED", "false", "enabled", False),
    ("False", "ENABLED", "False", "enabled", False),
    ("no", "ENABLED", "no", "enabled", False),
    ("off", "ENABLED", "off", "enabled", False),
    ("0", "ENABLED", "0", "enabled", False),
    ("1", "CORS_CREDENTIALS", "1", "cors_credentials", True),
    ("true", "CORS_CREDENTIALS", "true", "cors_credentials", True),
    ("secrets as JSON", "SECRET_KEYS", '["0123456789abcdef"]', "secret_keys", ("0123456789abcdef",)),
]


@pytest.mark.parametrize("row", cases(TEXTS, 15))
def test_what_the_environment_can_say_is_understood(row: Any, make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, key, text, attribute, value = row
    monkeypatch.setenv(f"FLASK_BSGUARD_{key}", text)
    app = make_app(BSGUARD_EVENTS_STORED=False)
    app.config.from_prefixed_env()

    assert getattr(guarded(app).settings, attribute) == value
