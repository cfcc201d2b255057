"""Accounts, connectors and cycles against a small model, in sequences of calls that hypothesis chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cyclr_async import UNSET, AlreadyExistsError, BadRequestError, ConflictError, NotFoundError
from cyclr_async.simulator import Simulator
from cyclr_async.v1 import Account, AccountScope
from tests.support.sizes import examples

T = TypeVar("T")

TEMPLATE = "44444444-aaaa-4000-8000-000000000001"
STATE: dict[str, Any] = {
    "accounts": [{"id": "a", "name": "A"}],
    "connectors": [{"id": 10, "name": "Hook", "auth_type": "None"}, {"id": 11, "name": "Mail", "auth_type": "ApiKey"}],
    "templates": [{"id": TEMPLATE, "name": "Welcome", "connectors": ["Hook"]}],
}
IDS = st.sampled_from(["a", "b", "tenant 7/ü", "x.org"])
NAMES = st.sampled_from(["A", "B", "Ünï"])
TEXTS = st.sampled_from([UNSET, None, "text", "other text"])
HOURS = st.sampled_from([UNSET, None, 0, 744])
CONNECTORS = st.sampled_from(["Hook", "Mail"])
INSTALLED = st.sampled_from(["One", "ONE", "Two"])


def given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not UNSET}


class V1(RuleBasedStateMachine):
    """What a caller may rely on: dictionaries, and nothing more."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.sim = Simulator(frozen=True, state=STATE)
        self.run(self.sim.__aenter__())
        self.session = self.sim.session()
        self.v1 = self.session.v1
        self.accounts: dict[str, dict[str, Any]] = {"a": given(name="A", description=None, retention=None)}
        self.connectors: dict[str, dict[str, str]] = {}
        """By account: the connectors by their names in lower case."""
        self.cycles: dict[str, dict[str, str]] = {}
        """By account: the states of cycles."""
        self.bereft: set[str] = set()
        """Cycles whose connector may have been removed, so that they may have stopped and may not start again."""

    def teardown(self) -> None:
        self.run(self.session.close())
        self.run(self.sim.__aexit__(None, None, None))
        self.runner.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def refused(self, call: Coroutine[Any, Any, Any], error: type[Exception]) -> Any:
        try:
            self.run(call)
        except error as caught:
            return caught
        raise AssertionError(f"{error.__name__} was expected")

    def scope(self, account: str) -> AccountScope:
        # Only ids that can stand in a header can be the account of a call.
        return self.v1.account(account)

    @staticmethod
    def agrees(found: Account, row: dict[str, Any]) -> bool:
        return (found.name, found.description, found.step_data_success_retention_hours) == (
            row["name"],
            row["description"],
            row["retention"],
        )

    def lose_answers(self, operation: str, lost: int) -> None:
        """Let the next answers to an operation be lost, after it was carried out."""
        if lost:
            self.sim.faults.add(f"drop-after:op={operation}:x{lost}")

    @rule(account=IDS, name=NAMES, description=TEXTS, hours=HOURS, lost=st.integers(0, 1), ensure=st.booleans())
    def create(self, account: str, name: str, description: Any, hours: Any, lost: int, ensure: bool) -> None:
        fields = given(name=name, description=description, step_data_success_retention_hours=hours)
        row = {
            "name": name,
            "description": None if description is UNSET else description,
            "retention": None if hours is UNSET else hours,
        }
        call = (self.v1.accounts.ensure if ensure else self.v1.accounts.create)(account, **fields)
        if account not in self.accounts:
            self.lose_answers("v1.accounts.create", lost)
            assert self.agrees(self.run(call), row)
            self.accounts[account] = row
            return
        known = self.accounts[account]
        differing = tuple(
            argument
            for argument, wanted, field in (
                ("name", name, "name"),
                ("description", description, "description"),
                ("step_data_success_retention_hours", hours, "retention"),
            )
            # None and "" are the same; so is what was never set. 0 hours are not.
            if wanted is not UNSET and wanted != known[field]
        )
        if ensure and not differing:
            assert self.agrees(self.run(call), known)
        else:
            error = self.refused(call, AlreadyExistsError)
            assert (error.same, error.differing) == (not differing, differing)

    @rule(account=IDS, name=st.one_of(st.just(UNSET), NAMES), description=TEXTS, hours=HOURS)
    def update(self, account: str, name: Any, description: Any, hours: Any) -> None:
        fields = given(name=name, description=description, step_data_success_retention_hours=hours)
        if not fields:
            return
        call = self.v1.accounts.update(account, **fields)
        if account not in self.accounts:
            self.refused(call, NotFoundError)
            return
        row = self.accounts[account]
        row |= given(name=name, description=description, retention=hours)
        assert self.agrees(self.run(call), row)

    @rule(account=IDS, lost=st.integers(0, 2))
    def delete(self, account: str, lost: int) -> None:
        if account not in self.accounts:
            self.refused(self.v1.accounts.delete(account), NotFoundError)
            return
        self.lose_answers("v1.accounts.delete", min(lost, 1))
        self.run(self.v1.accounts.delete(account))
        del self.accounts[account]
        self.connectors.pop(account, None)
        self.cycles.pop(account, None)

    @rule(account=IDS)
    def usage(self, account: str) -> None:
        if account in self.accounts:
            assert self.run(self.v1.accounts.usage(account)).id == account
        else:
            self.refused(self.v1.accounts.usage(account), NotFoundError)

    def usable(self) -> bool:
        return any(account.isascii() for account in self.accounts)

    def chosen(self, index: int) -> str:
        names = sorted(account for account in self.accounts if account.isascii())
        return names[index % len(names)]

    @precondition(usable)
    @rule(index=st.integers(0, 3), connector=CONNECTORS, name=INSTALLED, lost=st.integers(0, 1), ensure=st.booleans())
    def install(self, index: int, connector: str, name: str, lost: int, ensure: bool) -> None:
        account = self.chosen(index)
        own, rows = self.scope(account).connectors, self.connectors.setdefault(account, {})
        call = (own.ensure if ensure else own.install)(connector, name=name)
        known = rows.get(name.lower())
        if known is None:
            self.lose_answers("v1.connectors.install", lost)
            made = self.run(call)
            assert made.name == name
            rows[name.lower()] = connector
        elif ensure and known == connector:
            assert str(self.run(call).name).lower() == name.lower()
        else:
            error = self.refused(call, AlreadyExistsError)
            assert error.same is (known == connector)

    @precondition(usable)
    @rule(index=st.integers(0, 3), name=INSTALLED)
    def uninstall(self, index: int, name: str) -> None:
        account = self.chosen(index)
        own = self.scope(account).connectors

        async def remove() -> int:
            numbers = [one.id async for one in own.iter() if str(one.name).lower() == name.lower()]
            for number in numbers:
                await own.delete(number)
            return len(numbers)

        known = self.connectors.get(account, {}).pop(name.lower(), None)
        assert self.run(remove()) == (known is not None)
        if known == "Hook":
            states = self.cycles.get(account, {})
            self.bereft |= states.keys()
            for cycle, state in states.items():
                states[cycle] = str(self.run(self.scope(account).cycles.get(cycle)).status)
                assert states[cycle] in {state, "Stopped"}

    @precondition(usable)
    @rule(index=st.integers(0, 3), name=NAMES)
    def make_cycle(self, index: int, name: str) -> None:
        account = self.chosen(index)
        made = self.run(self.scope(account).templates.install(TEMPLATE, name=name))
        assert (made.name, made.status, made.template_id) == (name, "Paused", TEMPLATE)
        self.cycles.setdefault(account, {})[made.id] = "Paused"
        # A template brings the connectors that the account has not.
        if "Hook" not in self.connectors.setdefault(account, {}).values():
            self.connectors[account]["hook"] = "Hook"

    def has_cycles(self) -> bool:
        return any(self.cycles.values())

    @precondition(has_cycles)
    @rule(index=st.integers(0, 9), step=st.sampled_from(["activate", "deactivate", "update", "delete"]), name=NAMES)
    def use_cycle(self, index: int, step: str, name: str) -> None:
        every = sorted((account, cycle) for account, cycles in self.cycles.items() for cycle in cycles)
        account, cycle = every[index % len(every)]
        cycles, states = self.scope(account).cycles, self.cycles[account]
        if step == "activate":
            try:
                self.run(cycles.activate(cycle, interval=60))
                states[cycle] = "Active"
            except BadRequestError:
                assert cycle in self.bereft
        elif step == "deactivate":
            self.run(cycles.deactivate(cycle))
            if states[cycle] == "Active":
                states[cycle] = str(self.run(cycles.get(cycle)).status)
                assert states[cycle] != "Active"
        elif step == "delete":
            self.run(cycles.delete(cycle))
            del states[cycle]
            self.refused(cycles.get(cycle), NotFoundError)
        elif states[cycle] == "Active":
            self.refused(cycles.update(cycle, name=name), ConflictError)
        else:
            assert self.run(cycles.update(cycle, name=name)).name == name

    @invariant()
    def what_is_there_is_what_was_made(self) -> None:
        self.run(self._compare())

    async def _compare(self) -> None:
        found = {one.id: one async for one in self.v1.accounts.iter()}
        assert found.keys() == self.accounts.keys()
        for account, row in self.accounts.items():
            assert self.agrees(found[account], row), (account, row)
            if not account.isascii():
                continue
            scope = self.scope(account)
            connectors = {str(one.name).lower(): one async for one in scope.connectors.iter()}
            wanted = self.connectors.get(account, {})
            assert {name: one.connector.name for name, one in connectors.items() if one.connector} == wanted
            states = {one.id: one.status async for one in scope.cycles.iter()}
            assert states == self.cycles.get(account, {})


TestV1 = V1.TestCase
TestV1.settings = settings(
    max_examples=examples(15, 150), stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
