"""A server project's own parser files, sent raw: the invalid never get in, the valid do or meet a stricter rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import judge, recorded, refusal
from tests.servers.process import RELEASE

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not recorded.FOLDER.is_dir(), reason=f"no recorded requests at {recorded.FOLDER}"),
    pytest.mark.skipif(RELEASE < 27, reason="the files tell what gunicorn after 26.1 makes of them"),
]

# Files for servers with other settings than the defaults; they are counted and not sent.
OTHER_SETTINGS = {"valid": 5, "invalid": 5}
SENT = {"valid": 22, "invalid": 33}

# Valid for that project, refused here by a stricter rule: file -> code, and why. Any other refusal is a failure.
NO_HOST = ("BSE1106", "RFC 9112 3.2: a 1.1 request without Host MUST get 400, and these hosts are no host names")
STRICTER_WITH_HOST: dict[str, tuple[str, str]] = {
    "valid/002": ("BSE1106", "`0.0.0.0=5000` is no host and port (RFC 9110 7.2)"),
    "valid/003": ("BSE1106", "`0.0.0.0=5000` is no host and port (RFC 9110 7.2)"),
    "valid/005": ("BSE1114", "a fragment in the target (RFC 9112 3.2)"),
    "valid/008": ("BSE1117", "a body on GET"),
    "valid/025_line": ("BSE1105", "a transfer coding that nothing here decodes"),
    "valid/029": ("BSE1105", "`identity` is no transfer coding (RFC 9112 7)"),
    "valid/031": ("BSE1102", "a method that nobody declared"),
    "valid/040": ("BSE1117", "a body on GET"),
    "valid/100": ("BSE1114", "empty segments in the path"),
    "valid/rfc9110_field_name_special_chars_01": ("BSE1104", "a name that servers do not spell alike in the environ"),
    "valid/rfc9112_smuggle_te_identity_chunked_01": ("BSE1105", "`identity` is no transfer coding (RFC 9112 7)"),
}
STRICTER: dict[str, tuple[str, str]] = {
    **STRICTER_WITH_HOST,
    **{f"valid/{name}": NO_HOST for name in ("005", "006", "018", "021", "023", "025_line", "029", "100")},
}


def default_settings(kind: str) -> list[recorded.Recorded]:
    """The files for a server as it is after installing; the counts are of those at hand when the table was written."""
    files = recorded.load(kind)
    chosen = [file for file in files if not file.facts["settings"]]

    assert len(chosen) == SENT[kind]
    assert len(files) - len(chosen) == OTHER_SETTINGS[kind]

    return chosen


@pytest.mark.parametrize("hosted", [False, True], ids=["as recorded", "with Host"])
def test_invalid_files_never_get_in(hosted: bool, start: StartServer) -> None:
    server = start("open")
    wrong = []
    for file in default_settings("invalid"):
        reply = server.exchange(file.hosted if hosted else file.raw)
        calls = server.calls()
        statuses = [answer.status for answer in reply.final]
        if calls or reply.ended == "deadline" or any(status >= 500 and status not in (501, 505) for status in statuses):
            wrong.append(f"{file.name}: {statuses}, {reply.ended}, {calls}")
    judge.still_answers(server)

    assert wrong == []


@pytest.mark.parametrize("hosted", [False, True], ids=["as recorded", "with Host"])
def test_valid_files_get_in_or_meet_a_stricter_rule(hosted: bool, start: StartServer) -> None:
    server = start("open")
    stricter = STRICTER_WITH_HOST if hosted else STRICTER
    wrong = []
    for file in default_settings("valid"):
        reply = server.exchange(file.hosted if hosted else file.raw)
        seen = [(call["method"], call["target"], call["body"]) for call in server.calls()]
        wanted = [
            (request["method"], request["target"]["raw"], request["body"].encode("latin-1"))
            for request in file.facts["requests"]
        ]
        if file.name in stricter:
            answer = reply.final[0]
            if seen or refusal.read(answer, without=file.raw.split()[1]) != (stricter[file.name][0],):
                wrong.append(f"{file.name}: {answer.status} {answer.body!r}, not {stricter[file.name]}")
        elif not seen or seen != (wanted[:1] if server.worker == "sync" else wanted):
            wrong.append(f"{file.name}: app saw {seen}; {[(answer.status, answer.body) for answer in reply.final]}")
    judge.still_answers(server)

    assert wrong == []
