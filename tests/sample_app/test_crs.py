"""The control plane behind the Core Rule Set: what its clients honestly send is not refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sample_app.support import EXAMPLES
from tests.sample_app.test_examples import send
from tests.seclang.recorded import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sample_app.support import Service

CRS = FOLDER / "crs"
pytestmark = pytest.mark.skipif(not CRS.is_dir(), reason=f"needs the Core Rule Set in {CRS}")


@pytest.fixture
def guarded(make_service: Callable[..., Service]) -> Service:
    return make_service(BSGUARD_MANAGED_CRS_DIR=str(CRS))


def test_no_good_example_is_refused_by_the_rule_set(guarded: Service, service: Service) -> None:
    refused = {}
    for name, example in EXAMPLES.items():
        request = example["good"]["request"]
        behind, without = send(guarded, request), send(service, request)
        if behind.status_code != without.status_code:
            refused[name] = behind.get_json()

    assert refused == {}
    assert len(EXAMPLES) == 15


def test_an_attack_in_a_prompt_is(guarded: Service) -> None:
    request: dict[str, Any] = EXAMPLES["estimateCost"]["good"]["request"]
    prompt = "1' union select password from users-- -"
    answer = guarded.client.open(
        request["path"],
        method=request["method"],
        headers=request["headers"] | guarded.headers(),
        data=json.dumps(request["body"] | {"prompt": prompt}),
        base_url="https://api.us.babysea.ai",
    )

    assert answer.status_code == 403
    assert answer.get_json()["error"]["code"] == "BSE1401"
