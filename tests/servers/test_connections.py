"""More than one request on a connection, or less: order, keep-alive, pieces, crowds and clients that leave."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.data.http import CANARY
from tests.data.http.case import JSON, WEB, chunks, get, post, post_chunked
from tests.servers import judge, refusal

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer
    from tests.servers.process import Server

pytestmark = pytest.mark.server

BAD = get(b"/v1/../admin")
SMUGGLED = get(b"/v1/smuggled")


def targets(server: Server) -> list[str]:
    """What the app was called with since the last time."""
    return [call["target"] for call in server.calls()]


def test_requests_follow_each_other_on_one_connection(start: StartServer) -> None:
    server = start("main")
    requests = [
        get(b"/v1/1"),
        post(JSON, target=b"/v1/2"),
        post_chunked(chunks(b"[", b"1", b"]", trailers=b"X-Sum: a\r\n"), target=b"/v1/3"),
        get(b"/v1/4?q=%00"),
        post(b"a=b", kind=b"application/x-www-form-urlencoded", host=WEB, target=b"/5"),
    ]
    with server.converse() as conversation:
        answers = [conversation.ask(request) for request in requests]

    # The sync worker closes after each request.
    expected = 1 if server.worker == "sync" else len(requests)
    assert [answer.status if answer else None for answer in answers] == [200] * expected + [None] * (5 - expected)
    assert targets(server) == ["/v1/1", "/v1/2", "/v1/3", "/v1/4?q=%00", "/5"][:expected]


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (BAD, "BSE1114"),
        (post(SMUGGLED, kind=b"text/plain"), "BSE1108"),
        (post(SMUGGLED * 3, b"Content-Encoding: gzip"), "BSE1109"),
        (post(b"{" + SMUGGLED), "BSE1121"),
        (post_chunked(chunks(SMUGGLED), kind=b"text/plain"), "BSE1108"),
        (post(SMUGGLED, method=b"GET"), "BSE1117"),
        (post_chunked(b"zz\r\n" + SMUGGLED), "BSE1120"),
    ],
    ids=["bad path", "bad type", "coded", "bad JSON", "bad type, chunked", "GET with a body", "broken chunk"],
)
def test_a_refused_body_is_never_run_as_the_next_request(refused: bytes, code: str, start: StartServer) -> None:
    server = start("main")
    reply = server.exchange(refused + get(b"/v1/after"))
    seen = targets(server)

    assert refusal.read(reply.final[0], without=CANARY) == (code,)
    # Whether the connection is kept is the server's business; what is run on it must be the next request.
    assert seen in ([], ["/v1/after"])
    judge.still_answers(server)


def test_a_good_request_follows_a_refused_one(start: StartServer) -> None:
    server = start("main")
    with server.converse() as conversation:
        answers = [conversation.ask(request) for request in (get(b"/v1/1"), BAD, get(b"/v1/2"))]
    statuses = [answer.status if answer else None for answer in answers]

    assert statuses == ([200, None, None] if server.worker == "sync" else [200, 400, 200])
    assert targets(server) == (["/v1/1"] if server.worker == "sync" else ["/v1/1", "/v1/2"])


@pytest.mark.parametrize(
    ("raw", "status", "seen"),
    [
        (get(b"/v1/slowly"), 200, ["/v1/slowly"]),
        (post(JSON, target=b"/v1/slowly"), 200, ["/v1/slowly"]),
        (post_chunked(chunks(JSON, b" ", b"\n", trailers=b"X-Sum: a\r\n"), target=b"/v1/slowly"), 200, ["/v1/slowly"]),
        (BAD, 400, []),
        (post(b'{"a":1,"a":2}'), 400, []),
        (post_chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400, []),
        (get(b"/v1/a", b"Transfer-Encoding : chunked"), 400, []),
    ],
    ids=["GET", "POST", "chunked", "bad path", "bad JSON", "bad chunk", "bad header"],
)
def test_bytes_that_come_one_by_one_are_judged_alike(
    raw: bytes, status: int, seen: list[str], start: StartServer
) -> None:
    server = start("main")
    with server.converse() as conversation:
        try:
            for byte in raw:
                conversation.send(bytes([byte]))
        except ConnectionError:
            pass  # the answer came before the last byte
        answer = conversation.answer()

    assert answer is not None
    assert answer.status == status
    assert targets(server) == seen
    judge.still_answers(server)


def test_answers_in_a_crowd_belong_to_their_requests(start: StartServer) -> None:
    server = start("main")

    def client(number: int) -> list[str]:
        wrong = []
        for turn in range(20):
            body = json.dumps({"client": number, "turn": turn, "pad": "x" * (number * 500)}).encode()
            target = f"/v1/{number}/{turn}"
            good = server.exchange(post(body, target=target.encode())).final
            bad = server.exchange(post(body[:-1], target=target.encode())).final
            told = json.loads(good[0].body)
            if told != {"target": target, "sha256": hashlib.sha256(body).hexdigest()}:
                wrong.append(f"{target}: {told}")
            if refusal.read(bad[0], without=b"client") != ("BSE1121",):
                wrong.append(f"{target}: {bad}")

        return wrong

    with ThreadPoolExecutor(8) as clients:
        wrong = [line for lines in clients.map(client, range(8)) for line in lines]

    assert wrong == []
    assert sorted(targets(server)) == sorted(f"/v1/{number}/{turn}" for number in range(8) for turn in range(20))


@pytest.mark.parametrize(
    "raw",
    [
        post(JSON)[:-5],
        post_chunked(chunks(JSON))[:-9],
        post(b"a" * 200_000, kind=b"text/plain", host=WEB, target=b"/form")[:100_000],
        get(),
        BAD,
    ],
    ids=["in a body", "in a chunk", "in an upload", "before the answer", "before the refusal"],
)
def test_a_client_that_leaves_hurts_nobody(raw: bytes, start: StartServer) -> None:
    server = start("main")
    with socket.create_connection(server.address, timeout=5) as connection:
        connection.sendall(raw)
        # No farewell: the server's next read or write fails with a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.exchange(get(b"/v1/settle"))  # on the sync worker this one waits until the other is done with
    server.calls()

    judge.still_answers(server)


def test_a_refusal_reaches_a_client_that_is_still_sending(start: StartServer) -> None:
    server = start("main")
    reply = server.exchange(post(b'"' + b"a" * 1_000_000 + b'"'))

    assert [refusal.read(answer, without=b"aaaa") for answer in reply.final[:1]] == [("BSE1119",)]
    assert server.calls() == []
    judge.still_answers(server)


def test_a_refusal_says_so_in_the_form_that_the_client_asked_for(start: StartServer) -> None:
    server = start("main")
    reply = server.exchange(get(b"/v1/../admin/" + CANARY, b"Accept: application/problem+json"))
    problem = json.loads(reply.final[0].body)

    assert reply.final[0].header("content-type") == "application/problem+json"
    assert (problem["status"], problem["code"]) == (400, "BSE1114")
    assert reply.final[0].header("x-request-id") in problem["instance"]
    assert CANARY not in reply.data
