"""libmodsecurity as the reference: its verdicts, transformations and body parsers, where it is installed."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_BASE = """
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRequestBodyLimit 134217728
SecRequestBodyNoFilesLimit 134217728
SecRule REQUEST_HEADERS:Content-Type "@contains json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@contains xml" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"
"""


@cache
def _module() -> Any:
    return pytest.importorskip("libmodsecurity", reason="libmodsecurity is not installed")


@cache
def _library() -> ctypes.CDLL:
    package = Path(_module().__file__).parent
    found = sorted(package.parent.glob("libmodsecurity.libs/libmodsecurity-*"))
    if not found:
        pytest.skip("libmodsecurity is there without its library")
    return ctypes.CDLL(str(found[0]))


def sqli(value: bytes) -> bool:
    """Its @detectSQLi."""
    return bool(_library().libinjection_sqli(value, ctypes.c_size_t(len(value)), ctypes.create_string_buffer(16)))


def xss(value: bytes) -> bool:
    """Its @detectXSS."""
    return bool(_library().libinjection_xss(value, ctypes.c_size_t(len(value))))


class Reader:
    """What every value of some variables becomes, read back from its log messages.

    *chains* maps a name of one's own to a variable and its transformations.
    """

    def __init__(self, chains: dict[str, tuple[str, tuple[str, ...]]]) -> None:
        module = _module()
        lines = [_BASE]
        self._names: dict[int, str] = {}
        for number, (name, (variable, transformations)) in enumerate(chains.items()):
            done = "".join(f",t:{each}" for each in (*transformations, "hexEncode"))
            kept = f"tx.v{number}=%{{tx.v{number}}}\x01%{{MATCHED_VAR_NAME}}|%{{MATCHED_VAR}}"
            lines.append(
                f'SecRule {variable} "@unconditionalMatch" "id:{1000 + number},phase:2,pass,nolog,t:none{done},'
                f"setvar:'{kept}'\""
            )
            lines.append(f"SecAction \"id:{2000 + number},phase:2,pass,log,msg:'m',logdata:'%{{tx.v{number}}}'\"")
            self._names[2000 + number] = name
        self._engine = module.ModSecurity()
        self._rules = module.RulesSet()
        self._rules.load("\n".join(lines))
        assert not self._rules.get_parser_error()

    def read(self, body: bytes, content_type: str) -> dict[str, list[tuple[bytes, bytes]]]:
        """By name, the selector and value of everything that is there."""
        transaction = _module()._libmodsecurity.Transaction(self._engine, self._rules, None)
        transaction.process_connection("127.0.0.1", 1234, "127.0.0.1", 80)
        transaction.process_uri("/", "POST", "1.1")
        for name, value in (("Host", "x"), ("Content-Type", content_type), ("Content-Length", str(len(body)))):
            transaction.add_request_header(name, value)
        transaction.process_request_headers()
        transaction.append_request_body(body)
        transaction.process_request_body()
        found: dict[str, list[tuple[bytes, bytes]]] = {}
        for message in transaction.get_rule_messages():
            if message.rule_id in self._names:
                for item in message.data.encode().split(b"\x01")[1:]:
                    name, _, digits = item.rpartition(b"|")
                    value = bytes.fromhex(digits.decode())
                    found.setdefault(self._names[message.rule_id], []).append((name.partition(b":")[2], value))
        return found
