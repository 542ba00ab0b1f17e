"""Every legal request reaches the app byte for byte, on the server that is installed, for each worker class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.data.http import LEGAL, Legal
from tests.servers import judge

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer

pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{family}: {case.id}") for family, cases in LEGAL.items() for case in cases]
)
def test_reaches_the_app(case: Legal, start: StartServer) -> None:
    judge.legal(start(case.profile), case)
