"""501 comes from the operations that are still to come, and from nothing else."""

from __future__ import annotations

import pytest

from tests.sample_app.support import CRON_SECRET, Service, documented
from tests.sample_app.test_access_control import PATHS, call

NOT_BUILT = {
    "generateImage",
    "generateVideo",
    "cancelGeneration",
    "downloadFile",
    "uploadFile",
    "getUsage",
    "createTopup",
    "runPlayground",
    "receiveProviderWebhook",
    "runCronJob",
}


@pytest.mark.parametrize("name", documented())
def test_501_exactly_where_expected(name: str, service: Service) -> None:
    method, path, _ = documented()[name]
    headers = service.headers() | {"X-Cron-Secret": CRON_SECRET}
    response = call(service, method, path.format(**PATHS), headers)

    assert (response.status_code == 501) == (name in NOT_BUILT)
    if name in NOT_BUILT:
        assert response.get_json()["error"]["code"] == "BSE2901"


def test_ten_are_still_to_come() -> None:
    assert len(NOT_BUILT) == 10
    assert set(documented()) > NOT_BUILT
