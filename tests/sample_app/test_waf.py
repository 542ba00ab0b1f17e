"""The control plane behind our own rules: prompts may be about anything, and nothing else may hold an attack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sample_app.support import EXAMPLES
from tests.sample_app.test_operations import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sample_app.test_operations import Region

CODE = (
    "a poster that says SELECT * FROM users WHERE 1=1 OR '1'='1'; -- <script>alert('../../etc/passwd')</script> {{7*7}}"
)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Region]:
    with serving("api.us.babysea.ai", tmp_path) as region:
        yield region


def test_a_prompt_may_quote_any_program(guarded: Region) -> None:
    request: dict[str, Any] = EXAMPLES["generateImage"]["good"]["request"]
    status, _, body = guarded.send(request | {"body": request["body"] | {"generation_prompt": CODE}})
    assert status == EXAMPLES["generateImage"]["good"]["response"]["status"], body


def test_other_fields_may_not(guarded: Region) -> None:
    request: dict[str, Any] = EXAMPLES["estimateCost"]["good"]["request"]
    status, _, body = guarded.send(request | {"body": request["body"] | {"model": "x' or '1'='1"}})
    assert (status, json.loads(body)["error"]["code"]) == (403, "BSE1201")
