"""The simulator against a small model, in sequences of steps that hypothesis chooses."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from cyclr_async.simulator import Simulator
from tests.support.sizes import examples

TEXT = st.text(max_size=12)
NAME = st.text(min_size=1, max_size=12).filter(lambda name: bool(name.strip()))
PLANS = st.sampled_from([2, 3, 4, "2", "3"])
SECONDS = st.integers(0, 40 * 86_400)


class Partner(RuleBasedStateMachine):
    """What a client may rely on: dictionaries, and nothing more."""

    accounts = Bundle("accounts")
    sign_ins = Bundle("sign_ins")
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.sim = self.stack.enter_context(Simulator(accounts=4, frozen=True, token_lifetime=20 * 86_400).in_thread())
        self.now = 0
        self.rows: dict[str, dict[str, Any]] = {}
        self.installed: dict[str, set[str]] = {}
        self.used: list[tuple[str, str]] = []
        self.bearer = ""
        self.bearer_until = 0
        self.fresh()
        for row in self.ask("GET", "accounts")[1]:
            self.rows[row["Id"]] = self.stable(row)

    def teardown(self) -> None:
        self.stack.close()

    @staticmethod
    def stable(row: dict[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in ("Id", "Name", "Description", "PricePlanId", "AuditInfo")}

    def http(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.bearer}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        status, answer = self.http(method, f"{self.sim.base_url}/{path}", data, headers)
        return status, json.loads(answer) if answer else None

    @rule()
    def fresh(self) -> None:
        form = {"grant_type": "client_credentials", "client_id": "simulator", "client_secret": "simulator-secret"}
        status, body = self.http("POST", self.sim.token_url, urllib.parse.urlencode(form).encode(), {})
        assert status == 200
        self.bearer = json.loads(body)["access_token"]
        self.bearer_until = self.now + 20 * 86_400

    def valid(self) -> bool:
        return self.now < self.bearer_until

    @rule(target=accounts, number=st.integers(0, 3))
    def known(self, number: int) -> str:
        return self.sim.account_ids()[number]

    @rule(target=accounts, name=NAME, description=TEXT | st.none(), plan=PLANS)
    def create(self, name: str, description: str | None, plan: Any) -> str:
        body = {"Name": name, "description": description, "PRICEPLANID": plan, "AuditInfo": "a"}
        status, answer = self.ask("POST", "createaccount", body)
        if not self.valid():
            assert status == 401
            return self.sim.account_ids(1)[0]
        assert status == 200
        assert answer["Id"] not in self.rows
        row = {"Name": name, "Description": description, "PricePlanId": int(plan), "AuditInfo": "a"}
        self.rows[answer["Id"]] = {"Id": answer["Id"], **row}
        return str(answer["Id"])

    @rule(account=accounts, changes=st.fixed_dictionaries({}, optional={"Description": TEXT | st.none(), "Name": NAME}))
    def update(self, account: str, changes: dict[str, Any]) -> None:
        status, answer = self.ask("PUT", f"accounts/{account}", changes)
        if self.valid():
            assert (status, answer) == (200, {"Id": account})
            self.rows[account].update(changes)
        else:
            assert status == 401

    @rule(account=accounts, bad=st.sampled_from([{"Name": ""}, {"PricePlanId": 9}, {"Timezone": "x/y"}]))
    def update_badly(self, account: str, bad: dict[str, Any]) -> None:
        assert self.ask("PUT", f"accounts/{account}", {**bad, "Description": "never"})[0] == (
            400 if self.valid() else 401
        )

    @rule(account=accounts, name=st.sampled_from(["one", "One", "two"]))
    def install(self, account: str, name: str) -> None:
        body = {"AccountId": account, "ConnectorName": "Connector", "InstalledName": name, "ApiKey": "k"}
        status, _ = self.ask("POST", "installconnector", body)
        names = self.installed.setdefault(account, set())
        if not self.valid():
            assert status == 401
        elif name.lower() in names:
            assert status == 400
        else:
            assert status == 200
            names.add(name.lower())

    @rule(target=sign_ins, account=accounts, user=st.sampled_from(["jo", "al"]))
    def sign_in_link(self, account: str, user: str) -> tuple[str, str, str, int] | None:
        status, answer = self.ask("POST", "createaccountsignintoken", {"AccountId": account, "Username": user})
        if not self.valid():
            assert status == 401
            return None
        assert status == 200
        return account, user, answer["Token"], self.now + 300

    @rule(link=consumes(sign_ins))
    def follow_twice(self, link: tuple[str, str, str, int] | None) -> None:
        if link is None:
            return
        account, user, token, until = link
        url = f"{self.sim.url}/account/signinwithtoken?token={urllib.parse.quote(token, safe='')}"
        first, second = self.http("GET", url, None, {})[0], self.http("GET", url, None, {})[0]
        assert (first, second) == (200 if self.now < until else 401, 401)
        if first == 200:
            self.used.append((account, user))

    @rule(seconds=SECONDS)
    def wait(self, seconds: int) -> None:
        self.sim.clock.advance(seconds)
        self.now += seconds

    @rule()
    def revoke(self) -> None:
        self.sim.revoke_tokens()
        self.bearer_until = self.now

    @rule(account=accounts, seconds=st.integers(0, 86_400))
    def usage_grows(self, account: str, seconds: int) -> None:
        self.fresh()
        _, before = self.ask("GET", f"accounts/{account}/billing")
        self.wait(seconds)
        _, after = self.ask("GET", f"accounts/{account}/billing?fromDate={before['FromDate'][:10]}")
        assert after["FromDate"] == before["FromDate"]
        assert after["TaskCount"] >= before["TaskCount"] >= 0
        assert after["CycleCount"] >= before["CycleCount"] >= 0
        assert after["CurrentPricePlanId"] == self.rows[account]["PricePlanId"]

    @invariant()
    def what_is_listed_is_what_was_written(self) -> None:
        status, rows = self.ask("GET", "accounts")
        if not self.valid():
            assert status == 401
            return
        assert {row["Id"]: self.stable(row) for row in rows} == self.rows
        for row in rows:
            assert row["LastBillDate"] <= self.sim.clock.now().isoformat()[:19] < row["NextBillDate"]
        assert [(visit.account_id, visit.username) for visit in self.sim.sign_ins] == self.used


TestPartner = Partner.TestCase
TestPartner.settings = settings(
    max_examples=examples(20, 60), stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
