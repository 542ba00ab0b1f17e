"""The control plane behind the Core Rule Set: what its clients honestly send is not refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sample_app.support import EXAMPLES
from tests.sample_app.test_operations import serving
from tests.seclang.recorded import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sample_app.test_operations import Region

CRS = FOLDER / "crs"
pytestmark = pytest.mark.skipif(not CRS.is_dir(), reason=f"needs the Core Rule Set in {CRS}")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Region]:
    with serving("api.us.babysea.ai", tmp_path, BSGUARD_MANAGED_CRS_DIR=str(CRS), BSGUARD_WAF_MODE="off") as region:
        yield region


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_good_example_is_refused_by_the_rule_set(guarded: Region, name: str) -> None:
    good = EXAMPLES[name]["good"]
    status, _, body = guarded.send(good["request"])

    assert (status, body if status == 403 else b"") == (good["response"]["status"], b"")


def test_every_example_was_tried() -> None:
    assert len(EXAMPLES) == 15


def test_an_attack_in_a_prompt_is(guarded: Region) -> None:
    request: dict[str, Any] = EXAMPLES["estimateCost"]["good"]["request"]
    attack = request["body"] | {"prompt": "1' union select password from users-- -"}
    status, _, body = guarded.send(request | {"body": attack})

    assert (status, json.loads(body)["error"]["code"]) == (403, "BSE1401")
