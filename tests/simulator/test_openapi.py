"""The simulator keeps to its own description, whatever schemathesis sends."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from cyclr_async.simulator import Simulator
from cyclr_async.simulator.partner.openapi import document

SCHEMA = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def place() -> object:
    with Simulator(accounts=20).in_thread() as sim:
        form = {"grant_type": "client_credentials", "client_id": "simulator", "client_secret": "simulator-secret"}
        yield sim, sim._world.tokens.exchange(form)["access_token"]


@pytest.mark.stress
@SCHEMA.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.generate],
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_description(case: schemathesis.Case[Any], place: tuple[Simulator, str]) -> None:
    sim, token = place
    headers = {} if case.operation.path == "/oauth/token" else {"Authorization": f"Bearer {token}"}
    # 400 also answers what no schema can tell: a plan that does not exist, a user name that is wrong.
    case.call_and_validate(base_url=sim.url, headers=headers, excluded_checks=[positive_data_acceptance])


def test_nothing_else_is_described() -> None:
    assert len(SCHEMA) == 9
