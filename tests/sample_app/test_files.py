"""Files: who uploads, who may fetch, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sample_app.artifacts.store import StoreUnavailable
from sample_app.files import UPLOAD_LIFETIME_MS
from sample_app.jobs import Job
from sample_app.signing import LINK_SECONDS, SESSION_SECONDS
from sample_app.simulated import media
from tests.sample_app.fakes import FakeArtifacts

if TYPE_CHECKING:
    from tests.sample_app.support import Service

PNG = media.make("png", "a file")


def upload(service: Service, headers: dict[str, str], body: bytes = PNG, content_type: str = "image/png") -> Any:
    return service.call("POST", "/v1/files", headers=headers, data=body, content_type=content_type)


def test_an_upload_can_be_fetched_by_its_account_and_by_address(service: Service) -> None:
    headers = service.headers()
    made = upload(service, headers)
    shown = made.get_json()["data"]
    sent = service.call("GET", made.headers["Location"], headers=headers)
    served = service.call("GET", sent.headers["Location"])

    assert (made.status_code, shown["media_type"], shown["bytes"]) == (201, "image/png", len(PNG))
    assert (sent.status_code, served.status_code, served.data) == (302, 200, PNG)
    assert (served.content_type, served.content_length) == ("image/png", len(PNG))
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert served.headers["Content-Disposition"] == "attachment"


def test_a_storage_that_is_away_is_no_fault_of_the_request(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = service.headers()
    path = upload(service, headers).headers["Location"]
    address = service.call("GET", path, headers=headers).headers["Location"]

    def away(*_given: object) -> None:
        raise StoreUnavailable("No space left on device")

    for name in ("put", "open"):
        monkeypatch.setattr(FakeArtifacts, name, away)
    for answer in (upload(service, headers), service.call("GET", address)):
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "BSE2902")
        assert answer.headers["Retry-After"]


def test_nobody_elses_file_is_found(service: Service) -> None:
    path = upload(service, service.headers()).headers["Location"]
    answer = service.call("GET", path, headers=service.headers(account="other"))

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "BSE2208")


CHANGED = [
    ("another file", lambda address: f"/v1/files/file_{'0' * 32}?{address.split('?')[1]}"),
    ("a later end", lambda address: address.replace("expires=1", "expires=2", 1)),
    ("another signature", lambda address: address[:-1] + ("A" if address[-1] != "A" else "B")),
    ("no signature", lambda address: address.split("&")[0] + "&signature="),
    ("no end", lambda address: address.split("?")[0] + "?" + address.split("&")[1]),
]


@pytest.mark.parametrize("change", [case[1] for case in CHANGED], ids=[case[0] for case in CHANGED])
def test_an_address_that_was_changed_opens_nothing(change: Any, service: Service) -> None:
    headers = service.headers()
    address = service.call("GET", upload(service, headers).headers["Location"], headers=headers).headers["Location"]
    answer = service.call("GET", change(address))

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "BSE2009")


def test_an_address_works_for_a_while_only(service: Service) -> None:
    headers = service.headers()
    address = service.call("GET", upload(service, headers).headers["Location"], headers=headers).headers["Location"]
    service.clock.now += LINK_SECONDS * 1_000 - 1
    before = service.call("GET", address).status_code
    service.clock.now += 1

    assert (before, service.call("GET", address).status_code) == (200, 401)


def test_an_input_file_must_be_the_accounts_own(service: Service) -> None:
    service.parts.database.prepare()
    for account in ("acme", "other"):
        service.parts.database.ledger.topup(account, 100, key="test")
    file_id = upload(service, service.headers()).get_json()["data"]["file_id"]
    body = {"generation_prompt": "a reef", "generation_input_file": file_id}
    told = [
        service.call("POST", "/v1/generate/image/reef-1", headers=service.headers(account=account), json=body)
        for account in ("acme", "other")
    ]
    order = service.port("replicate").calls[0][1]

    assert [answer.status_code for answer in told] == [202, 422]
    assert order.input_url.startswith(f"https://api.us.babysea.ai/v1/files/{file_id}?expires=")
    assert service.parts.database.ledger.balance("other").available == 100


def test_uploads_end_and_their_bytes_go(service: Service) -> None:
    headers = service.headers()
    path = upload(service, headers).headers["Location"]
    assert len(service.artifacts.files) == 1
    service.clock.now += UPLOAD_LIFETIME_MS

    assert service.call("GET", path, headers=headers).status_code == 404
    assert service.parts.jobs.run(Job.EXPIRE) == 1
    assert service.artifacts.files == {}


TRIAL = {"model": "reef-1", "generation_prompt": "a reef"}


def test_the_playground_opens_for_a_session_with_its_token(service: Service) -> None:
    service.parts.database.prepare()
    service.parts.database.ledger.topup("acme", 100, key="test")
    session = service.parts.signing.session("acme")

    # The header as it is sent, and not the test client's jar.
    service.client = service.app.test_client(use_cookies=False)

    def ask(cookie: str, token: str) -> int:
        headers = {"Cookie": f"dashboard_session={cookie}", "X-CSRF-Token": token}
        return service.call("POST", "/v1/playground", headers=headers, json=TRIAL).status_code

    other = service.parts.signing.session("other")
    assert ask(session.cookie, session.token) == 202
    assert ask(session.cookie, "") == 401
    assert ask(session.cookie, other.token) == 401
    assert ask(session.cookie.replace("acme", "demo", 1), session.token) == 401
    service.clock.now += SESSION_SECONDS * 1_000
    assert ask(session.cookie, session.token) == 401


def test_an_api_key_does_not_open_the_playground(service: Service) -> None:
    answer = service.call("POST", "/v1/playground", headers=service.headers(), json=TRIAL)

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "BSE2005")
