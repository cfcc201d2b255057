"""v1.0 keeps to its own description, whatever schemathesis sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from cyclr_async.simulator import Simulator
from cyclr_async.simulator.v1.openapi import document
from cyclr_async.simulator.v1.operations import OPERATIONS
from tests.simulator.v1.conftest import ACME, STATE

SCHEMA = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Simulator, str]]:
    with Simulator(state=STATE).in_thread() as sim:
        form = {"grant_type": "client_credentials", "client_id": "simulator", "client_secret": "simulator-secret"}
        yield sim, sim._world.tokens.exchange(form)["access_token"]


def check(case: schemathesis.Case[Any], place: tuple[Simulator, str]) -> None:
    sim, token = place
    headers = {"Authorization": f"Bearer {token}", "X-Cyclr-Account": ACME}
    # 400 also answers what no schema can tell: an id in use, a connector that does not exist.
    excluded: list[Any] = [positive_data_acceptance]
    if set(case.query or {}) - {parameter.name for parameter in case.operation.query}:
        excluded.append(negative_data_rejection)  # a parameter that is not known is ignored, which no schema can tell
    case.call_and_validate(base_url=sim.url, headers=headers, excluded_checks=excluded)


QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]


# Each operation takes a tenth of a second however few its examples are; the others come with the long run.
@SCHEMA.include(path_regex=r"^/v1\.0/(accounts|templates|steps)").parametrize()
@settings(max_examples=2, deadline=None, phases=[Phase.generate], derandomize=True, suppress_health_check=QUIET)
def test_description(case: schemathesis.Case[Any], place: tuple[Simulator, str]) -> None:
    check(case, place)


@pytest.mark.stress
@SCHEMA.parametrize()
@settings(max_examples=40, deadline=None, phases=[Phase.generate], derandomize=True, suppress_health_check=QUIET)
def test_description_at_length(case: schemathesis.Case[Any], place: tuple[Simulator, str]) -> None:
    check(case, place)


def test_all_is_described_and_nothing_else() -> None:
    assert len(SCHEMA) == len(OPERATIONS)


async def test_it_is_served(v1: Any) -> None:
    assert (await v1.get("/openapi-v1.json")).json == document()
    assert "/api/partner/accounts" in (await v1.get("/openapi.json")).json["paths"]
