"""The command line: keys made, listed, revoked, rotated; the demo filled again and again."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from sample_app.api_keys import API_SCOPES
from sample_app.clock import DAY_MS

if TYPE_CHECKING:
    from click.testing import Result

    from tests.sample_app.support import Service

TOKEN = re.compile(r"bsk_[0-9a-f]{16}_[0-9a-f]{64}")


def run(service: Service, *arguments: str) -> Result:
    return service.app.test_cli_runner().invoke(args=["control-plane", *arguments])


def run_json(service: Service, *arguments: str) -> Any:
    result = run(service, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def create(service: Service, *more: str) -> Any:
    return run_json(service, "keys", "create", "--account", "acme", "--scope", "read", *more)


def status(service: Service, token: str) -> int:
    return int(service.call("GET", "/v1/models", headers={"Authorization": f"Bearer {token}"}).status_code)


def test_a_key_is_made_and_works(service: Service) -> None:
    made = create(service, "--scope", "billing:read", "--label", "tests", "--expires-days", "2")

    assert TOKEN.fullmatch(made["key"])
    assert made["key"][4:20] == made["key_id"]
    assert made | {"key": "", "key_id": ""} == {
        "key": "",
        "key_id": "",
        "account_id": "acme",
        "label": "tests",
        "scopes": ["billing:read", "read"],
        "state": "active",
        "created_at": "2026-04-19T12:00:00.000Z",
        "expires_at": "2026-04-21T12:00:00.000Z",
        "revoked_at": None,
    }
    assert status(service, made["key"]) == 200
    service.clock.now += 2 * DAY_MS
    assert status(service, made["key"]) == 401


def test_the_secret_is_shown_once_and_said_to_be(service: Service) -> None:
    result = run(service, "keys", "create", "--account", "acme", "--scope", "read")

    assert len(TOKEN.findall(result.stdout)) == 1
    assert "only time" in result.stderr
    assert TOKEN.search(run(service, "keys", "list").output) is None
    assert TOKEN.search(run(service, "keys", "list", "--json").output) is None


def test_keys_are_listed_with_their_state(service: Service) -> None:
    active = create(service, "--label", "first")
    expired = create(service, "--expires-days", "1")
    revoked = create(service)
    run(service, "keys", "revoke", revoked["key_id"])
    other = run_json(service, "keys", "create", "--account", "other", "--scope", "generate")
    service.clock.now += DAY_MS

    listed = {key["key_id"]: key["state"] for key in run_json(service, "keys", "list")}
    assert listed == {
        active["key_id"]: "active",
        expired["key_id"]: "expired",
        revoked["key_id"]: "revoked",
        other["key_id"]: "active",
    }
    assert [key["key_id"] for key in run_json(service, "keys", "list", "--account", "other")] == [other["key_id"]]
    text = run(service, "keys", "list").stdout
    assert len(text.splitlines()) == 4
    assert "first" in text


def test_an_empty_list_says_so(service: Service) -> None:
    assert run(service, "keys", "list").stdout == "There are no keys.\n"
    assert run_json(service, "keys", "list") == []


def test_a_revoked_key_stops(service: Service) -> None:
    made = create(service)

    assert run_json(service, "keys", "revoke", made["key_id"]) == {"key_id": made["key_id"], "state": "revoked"}
    assert status(service, made["key"]) == 401
    service.clock.now += 1
    assert run(service, "keys", "revoke", made["key_id"]).exit_code == 0
    assert run_json(service, "keys", "list")[0]["revoked_at"] == "2026-04-19T12:00:00.000Z"


def test_rotating_replaces_a_key_at_once(service: Service) -> None:
    old = create(service, "--label", "site", "--expires-days", "9")
    new = run_json(service, "keys", "rotate", old["key_id"])

    assert (status(service, old["key"]), status(service, new["key"])) == (401, 200)
    same = ("account_id", "label", "scopes", "expires_at")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert new["key_id"] != old["key_id"]


@pytest.mark.parametrize("expires", [[], ["--expires-days", "1"]])
def test_rotating_with_overlap_keeps_the_old_key_for_a_while(expires: list[str], service: Service) -> None:
    old = create(service, *expires)
    new = run_json(service, "keys", "rotate", old["key_id"], "--overlap-seconds", "60")

    service.clock.now += 59_999
    assert (status(service, old["key"]), status(service, new["key"])) == (200, 200)
    service.clock.now += 1
    assert (status(service, old["key"]), status(service, new["key"])) == (401, 200)


def test_overlap_never_lengthens_a_keys_life(service: Service) -> None:
    old = create(service, "--expires-days", "1")
    service.clock.now += DAY_MS - 1_000
    run_json(service, "keys", "rotate", old["key_id"], "--overlap-seconds", "3600")

    service.clock.now += 1_000
    assert status(service, old["key"]) == 401


@pytest.mark.parametrize("end", ["revoked", "expired", "unknown"])
def test_a_dead_key_is_not_rotated(end: str, service: Service) -> None:
    made = create(service, "--expires-days", "1")
    if end == "revoked":
        run(service, "keys", "revoke", made["key_id"])
    if end == "expired":
        service.clock.now += DAY_MS
    result = run(service, "keys", "rotate", "0" * 16 if end == "unknown" else made["key_id"])

    assert result.exit_code == 1
    assert "no working key" in result.stderr
    assert len(run_json(service, "keys", "list")) == 1


MISUSED = [
    (("keys", "create", "--scope", "read"), 2, "--account"),
    (("keys", "create", "--account", "acme"), 2, "--scope"),
    (("keys", "create", "--account", "acme", "--scope", "everything"), 2, "everything"),
    (("keys", "create", "--account", "Acme Inc", "--scope", "read"), 2, "form"),
    (("keys", "create", "--account", "a" * 64, "--scope", "read"), 2, "form"),
    (("keys", "create", "--account", "acme", "--scope", "read", "--label", "x" * 101), 2, "characters"),
    (("keys", "create", "--account", "acme", "--scope", "read", "--label", "a\nb"), 2, "characters"),
    (("keys", "create", "--account", "acme", "--scope", "read", "--expires-days", "0"), 2, "--expires-days"),
    (("keys", "list", "--account", "../x"), 2, "form"),
    (("keys", "revoke", "bsk_1"), 2, "form"),
    (("keys", "revoke", "0" * 16), 1, "no key"),
    (("keys", "rotate", "0" * 16, "--overlap-seconds", "-1"), 2, "--overlap-seconds"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), MISUSED)
def test_misuse_is_explained(arguments: tuple[str, ...], code: int, said: str, service: Service) -> None:
    result = run(service, *arguments)

    assert result.exit_code == code
    assert said in result.stderr
    assert run_json(service, "keys", "list") == []


def test_all_misuse_was_there() -> None:
    assert len(MISUSED) == 12


def test_the_demo_can_be_seeded_again_and_again(service: Service) -> None:
    first = run_json(service, "seed-demo")
    seen = service.call("GET", "/v1/generations", headers={"Authorization": f"Bearer {first['key']}"}).get_json()
    service.clock.now += 5_000
    second = run_json(service, "seed-demo")
    again = service.call("GET", "/v1/generations", headers={"Authorization": f"Bearer {second['key']}"}).get_json()

    assert (status(service, first["key"]), status(service, second["key"])) == (401, 200)
    assert again["data"] == seen["data"]
    assert len(again["data"]["generations"]) == 5
    assert {each["status"] for each in again["data"]["generations"]} == {"succeeded", "failed", "running", "cancelled"}
    assert (first["account_id"], first["scopes"]) == ("demo", sorted(scope.value for scope in API_SCOPES))
    assert first["expires_at"] == "2026-04-20T12:00:00.000Z"


def test_seeding_leaves_other_keys_alone(service: Service) -> None:
    kept = run_json(service, "keys", "create", "--account", "demo", "--scope", "read", "--label", "mine")
    acme = create(service, "--label", "demo")
    run(service, "seed-demo")

    assert (status(service, kept["key"]), status(service, acme["key"])) == (200, 200)


def test_the_demo_key_is_shown_to_people_too(service: Service) -> None:
    assert len(TOKEN.findall(run(service, "seed-demo").stdout)) == 1
