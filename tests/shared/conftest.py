"""Shared state is tested with real processes, a real file and a real Redis; without one, tests are left out aloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.shared import RedisServer
from tests.support.canary import CanaryPlugin


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin("canary"):
        config.pluginmanager.register(CanaryPlugin(), "canary")


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test alone, so that it can be stopped."""
    if not RedisServer.installed():
        pytest.skip("neither redis-server nor valkey-server is installed: apt-get install redis-server")
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where state is shared: by a file, or by Redis where the test asks for it."""
    if getattr(request, "param", "file") == "file":
        return str(tmp_path / "shared.sqlite")
    server = request.getfixturevalue("redis_server")
    assert isinstance(server, RedisServer)
    return server.url
