"""The simulator keeps to its own description, whatever schemathesis sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cyclr_async.simulator import Simulator
from cyclr_async.simulator.partner.openapi import document

if TYPE_CHECKING:
    from schemathesis import Case


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Simulator, str]]:
    with Simulator(accounts=20).in_thread() as sim:
        form = {"grant_type": "client_credentials", "client_id": "simulator", "client_secret": "simulator-secret"}
        yield sim, sim._world.tokens.exchange(form)["access_token"]


@pytest.mark.stress
@pytest.mark.parametrize(
    ("path", "method"), [(path, method) for path, item in document()["paths"].items() for method in item]
)
def test_description(path: str, method: str, place: tuple[Simulator, str]) -> None:
    # Imported here: it takes 1.5 s, which every worker of every run would pay.
    import schemathesis  # noqa: PLC0415
    from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: PLC0415

    sim, token = place
    headers = {} if path == "/oauth/token" else {"Authorization": f"Bearer {token}"}
    operation = schemathesis.openapi.from_dict(document())[path][method.upper()]
    # Both what the description allows and what it forbids. Given here and not by schemathesis' own parametrisation, so
    # that its pytest plugin, a second of every start, can stay switched off (see pyproject.toml).
    cases = operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @given(case=cases)
    @settings(
        max_examples=40,
        deadline=None,
        phases=[Phase.generate],
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def keeps_to_it(case: Case[Any]) -> None:
        # 400 also answers what no schema can tell: a plan that does not exist, a user name that is wrong.
        case.call_and_validate(base_url=sim.url, headers=headers, excluded_checks=[positive_data_acceptance])

    keeps_to_it()


def test_nothing_else_is_described() -> None:
    assert len(document()["paths"]) == 9
