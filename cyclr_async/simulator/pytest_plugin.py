"""The pytest plugin: a simulated partner API for your tests, whether they are async or not.

Fixtures: ``cyclr_simulator``, ``cyclr_session``, ``cyclr_url``, ``cyclr_faults`` and ``cyclr_environment``. Settings by
marker: ``@pytest.mark.cyclr(accounts=3, rate=10, seed=1)``. Every pytest run imports this module: it imports nothing.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cyclr_async import AsyncPartnerSession
    from cyclr_async.simulator import FaultInjector, Simulator

__all__ = [
    "cyclr_environment",
    "cyclr_faults",
    "cyclr_session",
    "cyclr_simulator",
    "cyclr_url",
    "pytest_configure",
    "pytest_runtest_call",
]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "cyclr(accounts=50, seed=7, rate=None, latency=None, faults=(), ...): settings of the simulator of this test",
    )


@pytest.fixture
def cyclr_simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A fresh simulator, listening in a thread of its own, so that tests of every kind can use it."""
    from cyclr_async.simulator import Simulator  # noqa: PLC0415 - only when a test asks for it

    settings: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("cyclr"))):
        if marker.args:
            raise pytest.UsageError("the cyclr marker takes named settings only, such as accounts=3")
        settings.update(marker.kwargs)
    if "rate" in settings:
        settings["rate_limit"] = settings.pop("rate")
    try:
        simulator = Simulator(**settings)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"the cyclr marker of {request.node.nodeid}: {error}") from None
    with simulator.in_thread():
        yield simulator


@pytest.fixture
def cyclr_session(cyclr_simulator: Simulator) -> AsyncPartnerSession:
    """A session on the simulator; it opens on first use and is closed when the test function returns."""
    return cyclr_simulator.session()


@pytest.fixture
def cyclr_url(cyclr_simulator: Simulator) -> str:
    """Where the simulator listens; the API is below ``/api/partner``, tokens come from ``/oauth/token``."""
    return cyclr_simulator.url


@pytest.fixture
def cyclr_faults(cyclr_simulator: Simulator) -> FaultInjector:
    """The faults of the simulator."""
    return cyclr_simulator.faults


@pytest.fixture
def cyclr_environment(cyclr_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The ``CYCLR_*`` variables of the simulator, set for the test: for code that uses ``from_env()``."""
    variables = {
        "CYCLR_BASE_URL": cyclr_simulator.base_url,
        "CYCLR_TOKEN_URL": cyclr_simulator.token_url,
        "CYCLR_CLIENT_ID": cyclr_simulator.client_id,
        "CYCLR_CLIENT_SECRET": cyclr_simulator.client_secret,
    }
    for name in ("REGION", "ACCESS_TOKEN", "USERNAME", "PASSWORD", "ACCOUNT_ID", "PARTNER"):
        monkeypatch.delenv(f"CYCLR_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Close ``cyclr_session`` at the end of the test function: its event loop is gone when fixtures are torn down."""
    test = getattr(item, "obj", None)
    if "cyclr_session" not in getattr(item, "fixturenames", ()) or not inspect.iscoroutinefunction(test):
        return (yield)
    session: AsyncPartnerSession = item.funcargs["cyclr_session"]  # type: ignore[attr-defined]

    @functools.wraps(test)
    async def closing(*args: Any, **kwargs: Any) -> Any:
        try:
            return await test(*args, **kwargs)
        finally:
            await session.close()

    item.obj = closing  # type: ignore[attr-defined]
    try:
        return (yield)
    finally:
        item.obj = test  # type: ignore[attr-defined]
