"""Sends one case to a server and says what is wrong with what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.data.http import CANARY, CLOSED, Hostile, Legal
from tests.servers import oracle, refusal
from tests.servers.process import RELEASE, traces

if TYPE_CHECKING:
    from tests.servers.process import Server
    from tests.servers.raw import Reply

GOOD = {
    # One request that must always pass, for each way a server is set up.
    "main": b"GET /v1/good HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "proxied": b"GET /v1/good HTTP/1.1\r\nHost: api.test\r\nX-Forwarded-Proto: https\r\n\r\n",
    "remote": b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 80\r\nGET /v1/good HTTP/1.1\r\nHost: api.test\r\n\r\n",
}


def settle(server: Server) -> list[dict[str, Any]]:
    """The calls since the last time, after a good request on a new connection has got through as well.

    Fails if it did not, if the worker is another than before, or if something broke in its log.
    """
    reply = server.exchange(GOOD.get(server.profile, GOOD["main"]))
    calls = server.calls()
    news = server.news()

    assert [answer.status for answer in reply.final] == [200], (reply, news[-4000:])
    assert [call["target"] for call in calls].count("/v1/good") == 1
    assert traces(news) == []

    return [call for call in calls if call["target"] != "/v1/good"]


def still_answers(server: Server) -> None:
    """The server gets a good request through, and nothing else has reached the app in the meantime."""
    assert settle(server) == []


def hostile(server: Server, case: Hostile) -> None:
    """Nothing of the request reached the app as accepted, and the party that refused it did so in good form."""
    reply = server.exchange(case.raw)
    calls = settle(server)

    assert reply.ended != "deadline", f"the server held the connection: {reply}"
    if calls and case.unseen_before > RELEASE:
        assert [oracle.faults(call) for call in calls] == [[]], calls
    elif calls:
        assert case.defused is not None, f"accepted: {calls}"
        _defused(case, calls)
    else:
        _refused(case, reply)
    for answer in reply.final[1:]:
        assert answer.status < 500 or refusal.party(answer) == "server", answer


def _defused(case: Hostile, calls: list[dict[str, Any]]) -> None:
    """The app got the request, once, without its hostile part."""
    assert case.defused is not None
    assert len(calls) == 1, calls
    call = calls[0]

    assert call["body"] == case.defused.body
    assert not [name for name in case.defused.absent if name in call["fields"]], call["fields"]
    assert oracle.faults(call) == []


def _refused(case: Hostile, reply: Reply) -> None:
    """Somebody refused the request who may, as they may."""
    if not reply.final:
        assert CLOSED in case.server, f"closed without an answer: {reply}"
        return
    answer = reply.final[0]
    who = refusal.party(answer)

    assert who != "app", answer
    if who == "server":
        assert answer.status in case.server, f"the server itself answered {answer.status}"
        return
    codes = refusal.read(answer, without=CANARY, head=case.raw.startswith(b"HEAD "))
    assert set(codes) & set(case.guard), f"refused with {codes}, not {case.guard}"


def legal(server: Server, case: Legal) -> None:
    """The app saw the request, or all of them, byte for byte, and its answers came back."""
    # The sync worker closes after one request, whatever the client wished.
    expected = case.sees[:1] if server.worker == "sync" else case.sees
    reply = server.exchange(case.raw)
    calls = settle(server)

    if case.newer and not calls and reply.final and refusal.party(reply.final[0]) == "server":
        return
    told = [(answer.status, answer.body[:300]) for answer in reply.final]
    assert [answer.status for answer in reply.final][: len(expected)] == [200] * len(expected), told
    assert [(call["method"], call["target"], call["body"]) for call in calls] == [
        (seen.method, seen.target, seen.body) for seen in expected
    ]
    for answer in reply.final[: len(expected)]:
        assert answer.header("x-request-id"), answer.headers
    for call in calls:
        assert not [name for name in case.absent if name in call["fields"]], call["fields"]
        assert oracle.faults(call) == [] or case.profile != "main", oracle.faults(call)
    if len(case.sees) == 1:
        _fields_kept(case, calls[0])


def _fields_kept(case: Legal, call: dict[str, Any]) -> None:
    """Every header line of the request is in the app's environ with its value, lines of one name joined by a comma."""
    lines = case.raw.lstrip(b"\r\n").split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")[1:]
    sent: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines):
        key = "HTTP_" + name.upper().replace("-", "_")
        key = key.removeprefix("HTTP_") if key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH") else key
        value = value.strip(" \t")
        sent[key] = f"{sent[key]},{value}" if key in sent else value
    for name in case.absent:
        sent.pop(name, None)

    assert call["fields"] == sent
