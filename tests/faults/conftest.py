"""Every test of this folder watches its tasks and sockets, and no log record may show a canary secret."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.canary import CanaryPlugin
from tests.support.leaks import no_leaks
from tests.support.tls import TlsWorld


@pytest.fixture(autouse=True)
async def leaves_nothing_behind() -> AsyncIterator[None]:
    async with no_leaks():
        yield


@pytest.fixture(scope="session")
def tls_world(tmp_path_factory: pytest.TempPathFactory) -> TlsWorld:
    return TlsWorld.build(tmp_path_factory.mktemp("tls"))


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin("canary"):
        config.pluginmanager.register(CanaryPlugin(), "canary")
