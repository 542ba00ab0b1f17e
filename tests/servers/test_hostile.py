"""No hostile request reaches the app as accepted, on the server that is installed, for each worker class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.data.http import HOSTILE, Hostile
from tests.servers import judge

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer

pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{family}: {case.id}") for family, cases in HOSTILE.items() for case in cases]
)
def test_is_kept_from_the_app(case: Hostile, start: StartServer) -> None:
    judge.hostile(start(case.profile), case)
