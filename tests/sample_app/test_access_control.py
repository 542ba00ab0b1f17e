"""Who gets in: every way of presenting a key, and what each operation asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sample_app.api_keys import Scope
from sample_app.clock import DAY_MS
from sample_app.demo import seed_demo
from tests.sample_app.support import CRON_SECRET, Service, documented

if TYPE_CHECKING:
    from collections.abc import Callable

# What each operation's path parameters are filled with.
PATHS = {
    "model": "reef-1",
    "generation_id": "gen_70b342d66a395c75965ea56409a43d99",
    "file_id": "file_4af535e60eec567081e15576bed64913",
    "provider": "fal",
    "job": "sweep",
}
SCOPES = {
    "listModels": Scope.READ,
    "estimateCost": Scope.READ,
    "generateImage": Scope.GENERATE,
    "generateVideo": Scope.GENERATE,
    "listGenerations": Scope.READ,
    "getGeneration": Scope.READ,
    "cancelGeneration": Scope.GENERATE,
    "downloadFile": Scope.READ,
    "uploadFile": Scope.GENERATE,
    "getUsage": Scope.BILLING_READ,
    "createTopup": Scope.BILLING,
}


def no_key(_service: Service) -> dict[str, str]:
    return {}


def bearer(make: Callable[[Service], str]) -> Callable[[Service], dict[str, str]]:
    return lambda service: {"Authorization": f"Bearer {make(service)}"}


def other_secret(service: Service) -> str:
    token = service.token()
    return token[:-1] + ("0" if token[-1] != "0" else "1")


def revoked(service: Service) -> str:
    issued = service.parts.keys.create("acme", Scope)
    service.parts.keys.revoke(issued.key.key_id)
    return issued.token


def expired(service: Service) -> str:
    token = service.token(expires_at=service.clock.now + DAY_MS)
    service.clock.now += DAY_MS
    return token


def revoked_with_other_secret(service: Service) -> str:
    return revoked(service)[:-64] + "0" * 64


# (name, headers, status, code, error in WWW-Authenticate)
REFUSED = [
    ("no key", no_key, "BSE2001", None),
    ("an empty header", lambda _: {"Authorization": ""}, "BSE2001", None),
    ("a scheme without a key", lambda _: {"Authorization": "Bearer"}, "BSE2002", "invalid_token"),
    ("another scheme", lambda service: {"Authorization": f"Basic {service.token()}"}, "BSE2002", "invalid_token"),
    ("the key without a scheme", lambda service: {"Authorization": service.token()}, "BSE2002", "invalid_token"),
    ("no key at all", bearer(lambda _: "hello"), "BSE2002", "invalid_token"),
    ("an id alone", bearer(lambda service: service.token()[:20]), "BSE2002", "invalid_token"),
    ("upper case", bearer(lambda service: "bsk_" + service.token()[4:].upper()), "BSE2002", "invalid_token"),
    ("something after", bearer(lambda service: service.token() + "0"), "BSE2002", "invalid_token"),
    ("foreign digits", bearer(lambda service: service.token()[:-1] + "\u00b2"), "BSE2002", "invalid_token"),
    ("an unknown id", bearer(lambda _: f"bsk_{'0' * 16}_{'0' * 64}"), "BSE2002", "invalid_token"),
    ("a wrong secret", bearer(other_secret), "BSE2002", "invalid_token"),
    ("a revoked key, wrong secret", bearer(revoked_with_other_secret), "BSE2002", "invalid_token"),
    ("a revoked key", bearer(revoked), "BSE2004", "invalid_token"),
    ("an expired key", bearer(expired), "BSE2003", "invalid_token"),
]


@pytest.mark.parametrize("guard", ["enforce", "off"])
@pytest.mark.parametrize(("headers", "code", "error"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_is_refused(
    headers: Callable[[Service], dict[str, str]], code: str, error: str | None, guard: str, make_service: Any
) -> None:
    service = make_service(BSGUARD_MODE=guard)
    response = service.call("GET", "/v1/models", headers=headers(service))

    if response.get_json()["error"]["code"].startswith("BSE1"):
        # The guard knows some of these to be no credentials at all, and answers first.
        assert guard == "enforce"
        assert response.status_code == 400
        return
    assert (response.status_code, response.get_json()["error"]["code"]) == (401, code)
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="control-plane"')
    assert re.findall('error="(.*?)"', challenge) == ([error] if error else [])


def test_the_refusals_were_all_there() -> None:
    assert len(REFUSED) == 15


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_is_accepted(scheme: str, service: Service) -> None:
    response = service.call("GET", "/v1/models", headers={"Authorization": f"{scheme} {service.token(Scope.READ)}"})

    assert response.status_code == 200


def test_a_key_works_until_the_moment_it_expires(service: Service) -> None:
    headers = service.headers(expires_at=service.clock.now + 1)

    assert service.call("GET", "/v1/models", headers=headers).status_code == 200
    service.clock.now += 1
    assert service.call("GET", "/v1/models", headers=headers).status_code == 401


@pytest.mark.parametrize("name", SCOPES)
def test_each_operation_asks_for_its_scope(name: str, service: Service) -> None:
    method, path, _ = documented()[name]
    target = path.format(**PATHS)
    others = [scope for scope in Scope if scope is not SCOPES[name]]

    assert call(service, method, target, {}).status_code == 401
    lacking = call(service, method, target, service.headers(*others))
    assert lacking.status_code == 403
    assert lacking.get_json()["error"]["code"] == "BSE2005"
    assert f'error="insufficient_scope", scope="{SCOPES[name]}"' in lacking.headers["WWW-Authenticate"]
    assert call(service, method, target, service.headers(SCOPES[name])).status_code not in (401, 403)


def test_every_operation_with_a_key_has_a_scope() -> None:
    assert len(SCOPES) == 11
    assert set(documented()) - set(SCOPES) == {"getHealth", "runPlayground", "receiveProviderWebhook", "runCronJob"}


def test_another_accounts_generation_is_not_found(service: Service) -> None:
    token = seed_demo(service.parts).token
    path = f"/v1/generations/{PATHS['generation_id']}"

    assert service.call("GET", path, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    foreign = service.call("GET", path, headers=service.headers(account="acme"))
    assert (foreign.status_code, foreign.get_json()["error"]["code"]) == (404, "BSE2203")


@pytest.mark.parametrize("name", ["X-Account-Id", "X-Bsguard-Account", "Account"])
def test_no_header_names_the_account(name: str, service: Service) -> None:
    seed_demo(service.parts)
    headers = service.headers(account="acme") | {name: "demo"}

    assert service.call("GET", "/v1/generations", headers=headers).get_json()["data"]["generations"] == []


def test_the_guard_is_told_the_account_of_accepted_keys_only(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("sample_app.access_control.identify", told.append)

    service.call("GET", "/v1/models", headers=service.headers(Scope.READ, account="first"))
    service.call("GET", "/v1/models", headers=service.headers(Scope.BILLING, account="second"))
    service.call("GET", "/v1/models", headers={"Authorization": f"Bearer {revoked(service)}"})
    service.call("GET", "/v1/models")
    service.call("GET", "/v1/health")

    assert told == ["first", "second"]


def test_only_a_digest_of_the_secret_is_stored(service: Service, tmp_path: Any) -> None:
    token = service.token()
    service.parts.database.dispose()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("control-plane.sqlite3*"))

    assert token[4:20].encode() in stored
    assert token[21:].encode() not in stored
    assert bytes.fromhex(token[21:]) not in stored


@pytest.mark.parametrize("presented", [None, "", "wrong", CRON_SECRET + "0", "\u00fc" * 48])
def test_cron_calls_need_the_secret(presented: str | None, service: Service) -> None:
    headers = {} if presented is None else {"X-Cron-Secret": presented}
    response = service.call("POST", "/v1/cron/sweep", headers=headers)

    assert (response.status_code, response.get_json()["error"]["code"]) == (401, "BSE2006")
    assert response.headers["WWW-Authenticate"]
    assert service.call("POST", "/v1/cron/sweep", headers={"X-Cron-Secret": CRON_SECRET}).status_code == 200


def test_without_a_cron_secret_nobody_gets_in(make_service: Any) -> None:
    service = make_service(CONTROL_PLANE_CRON_SECRET="")

    assert service.call("POST", "/v1/cron/sweep", headers={"X-Cron-Secret": ""}).status_code == 401


def call(service: Service, method: str, path: str, headers: dict[str, str]) -> Any:
    body: dict[str, Any] = {"json": {"model": "reef-1"}} if method == "POST" else {}
    return service.call(method, path, headers=headers, **body)
