"""``read_plan`` and ``guard``: the whole of a configuration, all problems at once, and never a value in a message."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from bsguard import BSGuard, ConfigError, Protocol, Tenant, guard
from bsguard.cli.source import read_file
from bsguard.contract.config import ContractConfig
from bsguard.core.config import PROBLEMS, settings_of
from bsguard.core.networks import Networks
from bsguard.core.settings import Settings
from bsguard.extension import guard_of
from bsguard.limiter.config import LimiterConfig
from bsguard.observe.config import EventsConfig
from bsguard.protocol.config import ProtocolConfig
from bsguard.standard import LAYERS, Plan, layer_class, read_plan
from bsguard.tenant.layer import TenantConfig
from bsguard.testing import environ, run
from tests.unit.support import App, table

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "c4nary7c4nary7"
GROUPS: dict[str, type[Any]] = {"": Settings, "PROTOCOL_": ProtocolConfig, "LIMITER_": LimiterConfig}
GROUPS |= {"CONTRACT_": ContractConfig, "TENANT_": TenantConfig, "EVENTS_": EventsConfig}
ALL_KEYS = [prefix + key for prefix, cls in GROUPS.items() for key in settings_of(cls)]

pytestmark = pytest.mark.usefixtures("own_place")


def problems_of(values: dict[str, object], prefix: str = "") -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        read_plan(values, prefix=prefix)

    return [(one.id, one.key, one.message) for one in caught.value.problems]


def guarded_twice(tmp_path: Path) -> None:
    app = Flask("site", instance_path=str(tmp_path / "instance"))
    BSGuard(app)
    BSGuard(app)


def changed_late(tmp_path: Path) -> None:
    app = Flask("site", instance_path=str(tmp_path / "instance"))
    app.testing = True
    BSGuard(app)
    app.config["BSGUARD_MODE"] = "enforce"
    app.test_client().get("/")


def not_guarded(tmp_path: Path) -> None:
    guard_of(Flask("site", instance_path=str(tmp_path / "instance")))


def from_file(name: str, text: str) -> Callable[[Path], object]:
    def read(tmp_path: Path) -> object:
        (tmp_path / name).write_text(text)
        return read_file(tmp_path / name)

    return read


def planned(**values: object) -> Callable[[Path], object]:
    return lambda _tmp_path: read_plan(values, prefix="BSGUARD_")


def a_rule_set(path: Path, text: str) -> Path:
    (path / "REQUEST-1-X.conf").write_text(text)
    return path


PROVOKED: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "an unknown key": (planned(MODUS="off"), "bsguard.E001", "BSGUARD_MODUS", "did you mean BSGUARD_MODE?"),
    "an unknown key of a layer": (
        planned(PROTOCOL_METHDS="GET"),
        "bsguard.E001",
        "BSGUARD_PROTOCOL_METHDS",
        "did you mean BSGUARD_PROTOCOL_METHODS?",
    ),
    "an unknown key that is like none": (planned(ZEBRA=1), "bsguard.E001", "BSGUARD_ZEBRA", "remove it, or look it up"),
    "a wrong value": (planned(MODE="on"), "bsguard.E002", "BSGUARD_MODE", 'wanted one of "enforce", "monitor", "off"'),
    "a wrong value of a layer": (
        planned(PROTOCOL_JSON_DEPTH_MAX=0),
        "bsguard.E002",
        "BSGUARD_PROTOCOL_JSON_DEPTH_MAX",
        "wanted a whole number from 1 to 100, got an int",
    ),
    "a wrong value of the event store": (
        planned(EVENTS_ROWS_MAX="many"),
        "bsguard.E002",
        "BSGUARD_EVENTS_ROWS_MAX",
        "wanted a whole number",
    ),
    "a layer that is near": (planned(LAYERS=["protocl"]), "bsguard.E002", "BSGUARD_LAYERS", "did you mean protocol?"),
    "a layer that is far": (
        planned(LAYERS=["x"]),
        "bsguard.E002",
        "BSGUARD_LAYERS",
        "there are: protocol, waf, limiter, managed, contract, session, tenant",
    ),
    "an inspection limit over the hard maximum": (
        planned(INSPECT_BYTES_MAX=4096, BODY_BYTES_MAX=2048),
        "bsguard.E003",
        "BSGUARD_INSPECT_BYTES_MAX",
        "must not be larger than BSGUARD_BODY_BYTES_MAX",
    ),
    "credentials for every origin": (
        planned(CORS_ORIGINS=["*"], CORS_CREDENTIALS=True),
        "bsguard.E003",
        "BSGUARD_CORS_CREDENTIALS",
        "name the origins",
    ),
    "a second guard": (guarded_twice, "bsguard.E004", "BSGuard", "call BSGuard(app) or init_app(app) once"),
    "a late change": (changed_late, "bsguard.E004", "BSGUARD_MODE", "set it before BSGuard(app)"),
    "no guard at all": (not_guarded, "bsguard.E004", "BSGuard", "this application is not guarded"),
    "a file that is not there": (lambda path: read_file(path / "x.toml"), "bsguard.E005", "x.toml", "cannot be read"),
    "a file that is no JSON": (from_file("a.json", "{"), "bsguard.E005", "a.json", "cannot be read as JSON"),
    "a file that is no TOML": (from_file("a.toml", "="), "bsguard.E005", "a.toml", "cannot be read as TOML"),
    "a file with a list": (from_file("a.json", "[]"), "bsguard.E005", "a.json", "wanted an object with settings"),
    "a document that is not there": (
        lambda path: guard(App(), {"CONTRACT_DOCUMENTS": [str(path / "x.yaml")], "STATE_DIR": path}),
        "bsguard.E006",
        "x.yaml",
        "cannot be read",
    ),
    "a rule file with a mistake": (
        lambda path: planned(MANAGED_CRS_DIR=str(a_rule_set(path, "SecRule ARGS")))(path),
        "bsguard.E007",
        "BSGUARD_MANAGED_CRS",
        "SecRule takes 2 to 3 words",
    ),
    "a file nested without end": (from_file("a.json", "[" * 100_000), "bsguard.E005", "a.json", "cannot be read"),
}


@pytest.mark.parametrize(("provoke", "problem_id", "key", "words"), table(20, PROVOKED))
def test_each_problem_is_told_by_id_key_and_remedy(
    tmp_path: Path, provoke: Callable[[Path], object], problem_id: str, key: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        provoke(tmp_path)

    (problem,) = caught.value.problems
    assert problem.id == problem_id
    assert problem.key.endswith(key)
    assert words in problem.message


def test_every_problem_id_is_provoked() -> None:
    assert {row[1] for row in PROVOKED.values()} == set(PROBLEMS)


def test_all_problems_of_a_configuration_are_in_one_error() -> None:
    found = problems_of(
        {
            "MODE": "on",
            "PROTOCOL_METHODS": "get",
            "TENANT_MODE": "on",
            "EVENTS_STORED": "maybe",
            "MODES": 1,
            "PROTOCOL_X": 1,
            "EVENTS_X": 1,
            "LAYERS": ["x", "y"],
            "INSPECT_BYTES_MAX": 4096,
            "BODY_BYTES_MAX": 1024,
        }
    )

    assert sorted((problem_id, key) for problem_id, key, _ in found) == [
        ("bsguard.E001", "EVENTS_X"),
        ("bsguard.E001", "MODES"),
        ("bsguard.E001", "PROTOCOL_X"),
        ("bsguard.E002", "EVENTS_STORED"),
        ("bsguard.E002", "LAYERS"),
        ("bsguard.E002", "LAYERS"),
        ("bsguard.E002", "MODE"),
        ("bsguard.E002", "PROTOCOL_METHODS"),
        ("bsguard.E002", "TENANT_MODE"),
        ("bsguard.E003", "INSPECT_BYTES_MAX"),
    ]


@pytest.mark.parametrize("layer", [Protocol, Tenant])
def test_a_layer_alone_lists_its_own_and_the_global_problems(layer: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        layer(App(), {"MODUS": 1, "RULE_MODES": []}, settings={"REGION": 1, "SURFACE": []})

    name = layer.name.upper()
    assert [one.key for one in caught.value.problems] == ["REGION", "SURFACE", f"{name} MODUS", f"{name} RULE_MODES"]


@pytest.mark.parametrize("key", ALL_KEYS)
def test_a_submitted_value_never_stands_in_a_message(key: str) -> None:
    wrong: list[object] = [
        CANARY,
        CANARY.encode(),
        [CANARY],
        [CANARY + " \x00"],
        {CANARY: CANARY},
        [{CANARY: CANARY}],
        [{"name": CANARY, "kind": CANARY, "hosts": [f"{CANARY}/"], "prefixes": [CANARY]}],
        [{"rule": CANARY, "path": CANARY, "comment": CANARY, "expires": CANARY, "addresses": [CANARY]}],
        [{"rule": CANARY, "comment": CANARY, "addresses": f"{CANARY}/8"}],
        [{"rule": f"*{CANARY}", "comment": CANARY, "method": CANARY}],
        {"/a": [CANARY, 1]},
        {"protocol.method": CANARY},
        {CANARY: "off"},
        CANARY[:3],
        [CANARY[:3], b"x"],
        None,
        1 << 80,
    ]
    said = []
    for value in wrong:
        try:
            read_plan({key: value}, prefix="BSGUARD_")
        except ConfigError as error:
            said.append(f"{error} {error!r} {error.problems}")

    assert said, "no wrong value was refused"
    assert not [text for text in said if CANARY[:3] in text]


def test_the_table_of_all_settings_is_complete() -> None:
    assert len(ALL_KEYS) == len(set(ALL_KEYS)) == 79
    assert read_plan({}) == read_plan({}, prefix="BSGUARD_")


FROM_ENVIRONMENT: dict[str, tuple[str, str, Callable[[Plan], object], object]] = {
    "a flag": ("ENABLED", "false", lambda plan: plan.settings.enabled, False),
    "a mode": ("MODE", "enforce", lambda plan: plan.settings.mode, "enforce"),
    "layers": ("LAYERS", "tenant, protocol", lambda plan: plan.used, ("protocol", "tenant")),
    "a folder": ("STATE_DIR", "/srv/state", lambda plan: plan.settings.state_dir, Path("/srv/state")),
    "secrets": ("SECRET_KEYS", f"{'a' * 16},{'b' * 16}", lambda plan: len(plan.settings.secret_keys), 2),
    "networks": (
        "TRUSTED_PROXIES",
        "10.0.0.0/8, unix",
        lambda plan: plan.settings.trusted_proxies,
        Networks.parse(["10.0.0.0/8", "unix"]),
    ),
    "a number": ("BODY_BYTES_MAX", "2000000", lambda plan: plan.settings.body_bytes_max, 2_000_000),
    "header names": ("STRIP_HEADERS", "X-A,X-B", lambda plan: plan.settings.strip_headers, ("X-A", "X-B")),
    "origins": ("CORS_ORIGINS", "https://a.test,*", lambda plan: len(plan.settings.cors_origins), 2),
    "paths": ("STREAMING_PATHS", "/up/**,/a", lambda plan: [p.text for p in plan.settings.streaming_paths], None),
    "methods": ("PROTOCOL_METHODS", "GET,PUT", lambda plan: plan.layers["protocol"].methods, ("GET", "PUT")),  # type: ignore[attr-defined]
    "a flag of a layer": ("PROTOCOL_HTTPS", "off", lambda plan: plan.layers["protocol"].https, False),  # type: ignore[attr-defined]
    "a mode of a layer": ("TENANT_MODE", "monitor", lambda plan: plan.layers["tenant"].mode, "monitor"),
    "rows": ("EVENTS_ROWS_MAX", "500", lambda plan: plan.events.rows_max, 500),
    "storing": ("EVENTS_STORED", "no", lambda plan: plan.events.stored, False),
}


@pytest.mark.parametrize(("key", "text", "take", "expected"), table(15, FROM_ENVIRONMENT))
def test_settings_from_the_environment_arrive_as_text(
    key: str, text: str, take: Callable[[Plan], object], expected: object
) -> None:
    found = take(read_plan({key: text}))

    assert found == (["/up/**", "/a"] if expected is None else expected)


def test_layers_are_used_in_standard_order_however_they_are_listed() -> None:
    assert tuple(LAYERS) == ("protocol", "waf", "limiter", "managed", "contract", "session", "tenant")
    assert read_plan({"CONTRACT_DOCUMENTS": ["api.yaml"]}).used == (
        "protocol",
        "waf",
        "limiter",
        "contract",
        "session",
        "tenant",
    )
    assert read_plan({}).used == ("protocol", "waf", "limiter", "session", "tenant"), (
        "a contract without documents has nothing to do"
    )
    assert read_plan({"LAYERS": ["tenant"]}).used == ("tenant",)
    assert [layer_class(name).name for name in LAYERS] == list(LAYERS)


def test_a_plan_that_was_read_is_used_as_it_is(tmp_path: Path) -> None:
    plan = read_plan({"MODE": "enforce", "STATE_DIR": tmp_path / "s", "EVENTS_STORED": False, "EVENTS_LOGGED": False})
    made = guard(App(), plan)

    assert run(made, environ("TRACE")).status == 405
    assert made.store is None
    assert made.degraded == ()


def test_a_guard_that_is_not_enabled_is_not_in_the_way(tmp_path: Path) -> None:
    app = App()
    made = guard(app, {"ENABLED": False, "MODE": "enforce", "STATE_DIR": tmp_path / "never"})
    answer = run(made, environ("TRACE", headers={"X-Account-Id": "a"}))

    assert answer.status == 200
    assert answer.header("X-Request-Id") == ""
    assert app.environs[0]["HTTP_X_ACCOUNT_ID"] == "a"
    assert not (tmp_path / "never").exists()


def test_the_default_state_directory_is_below_the_working_directory(tmp_path: Path) -> None:
    made = guard(App(), {"MODE": "enforce", "EVENTS_LOGGED": False})

    assert (tmp_path / ".bsguard" / "secret.key").exists()
    assert made.store is not None
    made.store.close()


def test_monitor_mode_is_said_at_start(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    config = {"STATE_DIR": tmp_path / "s", "EVENTS_STORED": False, "EVENTS_LOGGED": False}
    for mode in ("enforce", "off", "monitor"):
        guard(App(), {**config, "MODE": mode})

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "bsguard monitors in protocol, waf, limiter, session, tenant"
    ]


def test_dates_of_settings_files_are_understood(tmp_path: Path) -> None:
    (tmp_path / "guard.toml").write_text(
        'BSGUARD_MODE = "enforce"\n[[EXCEPTIONS]]\nrule = "protocol.host.*"\ncomment = "old"\nexpires = 2027-01-31\n'
    )
    plan = read_file(tmp_path / "guard.toml")

    assert plan.settings.mode == "enforce"
    assert plan.settings.exceptions[0].expires == datetime.datetime(2027, 1, 31, tzinfo=datetime.UTC).timestamp()


UNUSABLE: dict[str, dict[str, object]] = {
    "a secret that is no Unicode text": {"SECRET_KEYS": ["\udcff" * 20]},
    "a folder with a NUL in its name": {"STATE_DIR": "a\0b"},
}


@pytest.mark.parametrize("values", table(2, UNUSABLE))
def test_a_setting_that_cannot_be_used_is_a_problem_of_the_settings_not_a_crash(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        guard(App(), {"EVENTS_LOGGED": False, "MODE": "enforce", **values})
