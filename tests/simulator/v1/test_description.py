"""v1.0 keeps to its own description, whatever schemathesis sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cyclr_async.simulator import Simulator
from cyclr_async.simulator.v1.openapi import document
from cyclr_async.simulator.v1.operations import OPERATIONS
from tests.simulator.v1.conftest import ACME, STATE

if TYPE_CHECKING:
    from schemathesis import Case


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Simulator, str]]:
    with Simulator(state=STATE).in_thread() as sim:
        form = {"grant_type": "client_credentials", "client_id": "simulator", "client_secret": "simulator-secret"}
        yield sim, sim._world.tokens.exchange(form)["access_token"]


def keep_to_it(path: str, method: str, place: tuple[Simulator, str], examples: int) -> None:
    """Send what the description allows and what it forbids; see tests/simulator/test_openapi.py for the way."""
    # Imported here, so that of several workers only the one that runs this pays for it: 1.5 s.
    import schemathesis  # noqa: PLC0415
    from schemathesis.specs.openapi.checks import (  # noqa: PLC0415
        negative_data_rejection,
        positive_data_acceptance,
    )

    sim, token = place
    headers = {"Authorization": f"Bearer {token}", "X-Cyclr-Account": ACME}
    operation = schemathesis.openapi.from_dict(document())[path][method.upper()]
    cases = operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @given(case=cases)
    @settings(
        max_examples=examples, deadline=None, phases=[Phase.generate], derandomize=True, suppress_health_check=QUIET
    )
    def keeps_to_it(case: Case[Any]) -> None:
        # 400 also answers what no schema can tell: an id in use, a connector that does not exist.
        excluded: list[Any] = [positive_data_acceptance]
        if set(case.query or {}) - {parameter.name for parameter in case.operation.query}:
            # A parameter that is not known is ignored, which no schema can tell.
            excluded.append(negative_data_rejection)
        case.call_and_validate(base_url=sim.url, headers=headers, excluded_checks=excluded)

    keeps_to_it()


QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much]
ALL = [(path, method) for path, item in document()["paths"].items() for method in item]
# Each operation takes a tenth of a second however few its examples are; the others come with the long run.
SOME = [(path, method) for path, method in ALL if path in {"/v1.0/accounts", "/v1.0/accounts/{id}", "/v1.0/templates"}]


@pytest.mark.parametrize(("path", "method"), SOME)
def test_description(path: str, method: str, place: tuple[Simulator, str]) -> None:
    keep_to_it(path, method, place, 4)


@pytest.mark.stress
@pytest.mark.parametrize(("path", "method"), ALL)
def test_description_at_length(path: str, method: str, place: tuple[Simulator, str]) -> None:
    keep_to_it(path, method, place, 40)


def test_all_is_described_and_nothing_else() -> None:
    assert len(ALL) == len(OPERATIONS)


async def test_it_is_served(v1: Any) -> None:
    assert (await v1.get("/openapi-v1.json")).json == document()
    assert "/api/partner/accounts" in (await v1.get("/openapi.json")).json["paths"]
