"""``flask bsguard crs``: what is installed, from where, and everything that an archive may try."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from flask import Flask

from bsguard import BSGuard, Managed
from bsguard.cli import group, main
from bsguard.core.errors import ConfigError
from bsguard.managed import install
from bsguard.managed.folder import installed_in
from bsguard.testing import environ, run
from tests.managed.crs_like import a_rule_set
from tests.managed.support import hello

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

SQL = "/?q=union+select"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return a_rule_set(tmp_path / "crs")


@pytest.fixture
def bsguard(tmp_path: Path, state: Path) -> Any:
    """The command line of a guard whose settings turn the rule set on."""
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"MODE": "enforce", "MANAGED_CRS": True, "STATE_DIR": str(state)}))

    def invoke(*words: object) -> Result:
        return CliRunner().invoke(main, ["--config", str(path), *map(str, words)])

    return invoke


def packed(folder: Path, *more: tuple[str, bytes | str], root: str = "coreruleset-4.99.0") -> bytes:
    """An archive of *folder*, and of *more*: names with bytes, or with what a link points at."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        archive.add(folder, root)
        for name, content in more:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                kind, _, target = content.partition(" ")
                member.type = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "dev": tarfile.CHRTYPE}[kind]
                member.linkname = target
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_from_a_folder_to_the_first_refusal(bsguard: Any, rules: Path, state: Path) -> None:
    assert bsguard("crs", "status").exit_code == 1
    done = bsguard("crs", "install", "--from", rules)
    assert (done.exit_code, done.output) == (
        0,
        "installed 4.99.0; set BSGUARD_MANAGED_CRS = True to use it, and restart the workers\n",
    )

    status = bsguard("crs", "status", "--json")
    facts = json.loads(status.output)
    assert status.exit_code == 0
    assert facts["installed"]["version"] == "4.99.0"
    assert facts["rules"] == 25
    assert facts["problems"] == []
    assert "installed  4.99.0" in bsguard("crs", "status").output
    assert run(Managed(hello, {"CRS_DIR": facts["folder"]}), environ(target=SQL)).status == 403
    assert {path.stat().st_mode & 0o077 for path in (state / "crs").rglob("*") if path.name != ".lock"} == {0}


def test_from_an_archive_that_is_known_by_the_digest_given(bsguard: Any, rules: Path, tmp_path: Path) -> None:
    data = packed(rules)
    path = tmp_path / "crs.tar.gz"
    path.write_bytes(data)

    unknown = bsguard("crs", "install", "--from", path)
    assert unknown.exit_code == 1
    assert f"SHA-256 {digest_of(data)}, which is not one that is known or given" in unknown.output
    wrong = bsguard("crs", "install", "--from", path, "--digest", digest_of(b"other"))
    assert wrong.exit_code == 1
    done = bsguard("crs", "install", "--from", path, "--digest", f"sha256:{digest_of(data).upper()}", "--json")
    assert done.exit_code == 0
    assert json.loads(done.output)["sha256"] == digest_of(data)


def test_an_archive_of_a_known_release_needs_no_digest(
    bsguard: Any, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "crs.tar.gz"
    path.write_bytes(packed(rules))
    monkeypatch.setattr(install, "DIGESTS", {"4.99.0": digest_of(path.read_bytes())})

    assert bsguard("crs", "install", "--from", path).exit_code == 0


def test_the_table_of_digests_is_well_formed() -> None:
    assert install.DEFAULT_VERSION in install.DIGESTS
    assert len(set(install.DIGESTS.values())) == len(install.DIGESTS) == 3
    for version, digest in install.DIGESTS.items():
        assert install._VERSION.fullmatch(version)
        assert install._digest_of(digest) == digest


BAD: dict[str, tuple[tuple[str, bytes | str], str]] = {
    "a name that climbs": (("r/../../etc/x.conf", b"x"), "a name that leads out of its folder"),
    "an absolute name": (("/etc/x.conf", b"x"), "a name that leads out of its folder"),
    "a backslash": (("r\\..\\x.conf", b"x"), "a name that leads out of its folder"),
    "a symbolic link": (("r/rules/x.conf", "sym /etc/passwd"), "a link, a device or another thing"),
    "a hard link": (("r/rules/x.conf", "hard r/LICENSE"), "a link, a device or another thing"),
    "a device": (("r/rules/x.conf", "dev"), "a link, a device or another thing"),
    "the same name twice": (("r/rules/REQUEST-901-INITIALIZATION.conf", b"x"), "two members of one name"),
    "a file larger than rules are": (("r/rules/x.data", b"\0" * (8 * 1024 * 1024 + 1)), "more than a rule set would"),
    "a rule that is none": (("r/rules/REQUEST-1-X.conf", b"SecRulle ARGS"), "its rules cannot be used"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_archive_is_not_trusted_even_with_its_digest(name: str, bsguard: Any, rules: Path, tmp_path: Path) -> None:
    assert len(BAD) == 9
    assert bsguard("crs", "install", "--from", rules).exit_code == 0
    before = json.loads(bsguard("crs", "status", "--json").output)
    member, words = BAD[name]
    path = tmp_path / "crs.tar.gz"
    path.write_bytes(packed(rules, member, root="r"))

    refused = bsguard("crs", "install", "--from", path, "--digest", digest_of(path.read_bytes()))

    assert refused.exit_code == 1
    assert words in refused.output
    assert json.loads(bsguard("crs", "status", "--json").output) == before
    assert not list((tmp_path / "state" / "crs").glob(".new-*"))


def test_more_members_than_a_rule_set_has(
    bsguard: Any, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_MEMBERS_MAX", 5)
    path = tmp_path / "crs.tar.gz"
    path.write_bytes(packed(rules))

    refused = bsguard("crs", "install", "--from", path, "--digest", digest_of(path.read_bytes()))

    assert "more than 5 members" in refused.output


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"\x1f\x8b\x08broken", b"x" * 1000], ids=["empty", "zip", "gz", "x"]
)
def test_what_is_no_archive(data: bytes, bsguard: Any, tmp_path: Path) -> None:
    path = tmp_path / "crs.tar.gz"
    path.write_bytes(data)

    refused = bsguard("crs", "install", "--from", path, "--digest", digest_of(data))

    assert (refused.exit_code, refused.exception is None or isinstance(refused.exception, SystemExit)) == (1, True)
    assert "the archive cannot be unpacked" in refused.output or "it holds no rules" in refused.output


def test_only_what_a_rule_set_consists_of_is_unpacked(bsguard: Any, rules: Path, state: Path, tmp_path: Path) -> None:
    path = tmp_path / "crs.tar.gz"
    path.write_bytes(
        packed(rules, ("r/tests/a.py", b"x"), ("r/rules/x.py", b"x"), ("r/rules/a/b.conf", b"x"), root="r")
    )

    assert bsguard("crs", "install", "--from", path, "--digest", digest_of(path.read_bytes())).exit_code == 0
    found = installed_in(state)
    assert found is not None
    names = sorted(one.relative_to(found[1]).as_posix() for one in found[1].rglob("*") if one.is_file())
    assert names == [
        "LICENSE",
        "crs-setup.conf.example",
        "rules/REQUEST-901-INITIALIZATION.conf",
        "rules/REQUEST-942-DETECTION.conf",
        "rules/REQUEST-949-BLOCKING-EVALUATION.conf",
        "rules/RESPONSE-951-DATA-LEAKAGES.conf",
        "rules/agents.data",
    ]


def test_a_new_version_takes_the_place_of_the_old_one(bsguard: Any, rules: Path, state: Path) -> None:
    assert bsguard("crs", "install", "--from", rules).exit_code == 0
    first = installed_in(state)
    assert bsguard("crs", "install", "--from", rules).exit_code == 0
    second = installed_in(state)

    assert first is not None
    assert second is not None
    assert first[1] != second[1]
    assert not first[1].exists()
    assert sorted(path.name for path in (state / "crs").iterdir()) == sorted([".lock", "current.json", second[0].name])


NOTES = ["", "[]", "{}", '{"version":"4","name":"../../etc","sha256":"","source":"","installed":""}', "{" * 5000]


@pytest.mark.parametrize("note", NOTES)
def test_a_note_that_cannot_be_read_means_that_nothing_is_installed(note: str, state: Path) -> None:
    (state / "crs").mkdir(parents=True)
    (state / "crs" / "current.json").write_text(note)

    assert installed_in(state) is None


# --- from the network -----------------------------------------------------------------------------------------------


@contextmanager
def serving(data: bytes, *, status: int = 200, location: str = "", short: int = 0) -> Iterator[str]:
    """A server that answers every request with *data*, or leads on."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(data) + short))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/crs-{{version}}.tar.gz"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_release_is_fetched_checked_and_installed(bsguard: Any, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(rules)
    with serving(data) as url:
        monkeypatch.setattr(install, "RELEASE_URL", url)
        done = bsguard("crs", "install", "--version", "4.99.0", "--digest", digest_of(data), "--json")
        tampered = bsguard("crs", "install", "--version", "4.99.0", "--digest", digest_of(b""))

    assert done.exit_code == 0
    assert json.loads(done.output)["source"] == url.format(version="4.99.0")
    assert tampered.exit_code == 1
    assert "it is not opened" in tampered.output


FETCHES: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "a release that is not there": ({"status": 404}, (), "cannot be fetched (Not Found); fetch it by hand"),
    "one that breaks off": ({"short": 10}, (), "the archive broke off after"),
    "one that leads to a file": ({"status": 302, "location": "file:///etc/passwd"}, (), "cannot be fetched"),
    "one that leads to ftp": ({"status": 302, "location": "ftp://127.0.0.1/x"}, (), "cannot be fetched"),
    "a version without a known digest": ({}, ("--version", "4.98.0"), "give --digest, as its release page states it"),
    "a version that is none": ({}, ("--version", "../x"), "wanted a version such as"),
    "a digest that is none": ({}, ("--digest", "abc"), "wanted a SHA-256 of 64 hexadecimal digits"),
}


@pytest.mark.parametrize("name", FETCHES)
def test_a_fetch_that_fails_changes_nothing(name: str, bsguard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(FETCHES) == 7
    server, words, said = FETCHES[name]
    with serving(b"x" * 100, **server) as url:
        monkeypatch.setattr(install, "RELEASE_URL", url)
        refused = bsguard("crs", "install", *words)

    assert refused.exit_code == 1
    assert said in refused.output
    assert "no rule set is installed" in bsguard("crs", "status").output


def test_a_release_without_end_is_cut_off(bsguard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "ARCHIVE_BYTES_MAX", 1000)
    with serving(b"x" * 100_000) as url:
        monkeypatch.setattr(install, "RELEASE_URL", url)
        refused = bsguard("crs", "install")

    assert "the archive is larger than" in refused.output


def test_releases_come_over_https() -> None:
    assert install.RELEASE_URL.startswith("https://github.com/coreruleset/coreruleset/releases/download/")
    handler = install._NoDowngrade()
    request = install.urllib.request.Request("https://example.com/a")
    with pytest.raises(install.urllib.error.URLError, match="it leads on to http"):
        handler.redirect_request(request, io.BytesIO(), 302, "", {}, "http://example.com/b")


# --- list, explain, and an application whose rules are not there yet --------------------------------------------------


def test_rules_are_listed_by_tag_phase_and_level(bsguard: Any, rules: Path) -> None:
    assert bsguard("crs", "install", "--from", rules).exit_code == 0

    def ids(*words: str) -> list[str]:
        lines = bsguard("crs", "list", "--json", *words).output.splitlines()
        return [json.loads(line)["rule"].removeprefix("managed.") for line in lines]

    assert ids("--tag", "attack-sqli") == ["942100", "942200"]
    assert ids("--tag", "attack-sqli", "--paranoia", "1") == ["942100"]
    assert ids("--phase", "3") == ["950100"]
    assert bsguard("crs", "list", "--tag", "nothing").exit_code == 1
    assert "managed.942100  phase 2  level 1  critical  SQL" in bsguard("crs", "list").output


def test_a_rule_is_explained(bsguard: Any, rules: Path) -> None:
    assert bsguard("crs", "explain", "942100").output.startswith("Error: no rule set is installed")
    assert bsguard("crs", "install", "--from", rules).exit_code == 0

    said = bsguard("crs", "explain", "949111").output
    facts = json.loads(bsguard("crs", "explain", "942100", "--json").output)

    assert "looks at  TX:BLOCKING_INBOUND_ANOMALY_SCORE" in said
    assert "and at  TX:EARLY_BLOCKING" in said
    assert (facts["rule"], facts["phase"], facts["severity"]) == ("managed.942100", 2, "CRITICAL")
    assert facts["links"][0]["transformations"] == ["urldecodeuni"]
    assert facts["line"] > 1
    assert bsguard("crs", "explain", "7").exit_code == 1


def test_an_application_that_wants_the_rules_can_install_them(tmp_path: Path, rules: Path) -> None:
    def create() -> Flask:
        app = Flask("shop", instance_path=str(tmp_path / "instance"))
        app.config.update(BSGUARD_MODE="enforce", BSGUARD_MANAGED_CRS=True)
        BSGuard(app)
        return app

    with pytest.raises(ConfigError, match="run flask bsguard crs install"):
        create()
    from flask.cli import ScriptInfo

    info = ScriptInfo(create_app=create)
    done = CliRunner().invoke(group, ["crs", "install", "--from", str(rules)], obj=info)
    assert done.exit_code == 0, done.output
    app = create()
    assert app.test_client().get(SQL).status_code == 403


def test_installing_elsewhere_needs_no_application(tmp_path: Path, rules: Path) -> None:
    words = ["crs", "install", "--from", str(rules), "--state-dir", str(tmp_path / "elsewhere")]

    assert CliRunner().invoke(group, words).exit_code == 0
    assert installed_in(tmp_path / "elsewhere") is not None


USAGES = [
    (("--version", "4.28.0", "--from", "."), "give either --version or --from"),
    (("--from", ".", "--digest", "0" * 64), "a folder has no digest"),
]


@pytest.mark.parametrize(("words", "said"), USAGES)
def test_options_that_exclude_each_other(words: tuple[str, ...], said: str, bsguard: Any) -> None:
    refused = bsguard("crs", "install", *words)

    assert (refused.exit_code, said in refused.output) == (2, True)
