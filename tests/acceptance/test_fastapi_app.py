"""The tests of the example service, written with the plugin as a user would write them."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from cyclr_async.simulator import Fault, FaultInjector, Simulator
from tests.acceptance.fastapi_app import create_app

JO = {"customer": "jo@example.com", "company": "Łódź Bikes, Ltd"}


@pytest.fixture
def browser(cyclr_simulator: Simulator) -> Iterator[TestClient]:
    with TestClient(create_app(cyclr_simulator.session), follow_redirects=False) as client:
        yield client


@pytest.mark.cyclr(accounts=3)
def test_sign_up_creates_an_account(browser: TestClient, cyclr_simulator: Simulator) -> None:
    answer = browser.post("/signup", json=JO)
    assert answer.status_code == 201
    account = cyclr_simulator.account(answer.json()["account"])
    assert (account.name, account.audit_info) == ("Łódź Bikes, Ltd", "jo@example.com")
    assert cyclr_simulator.account_count == 4


def test_signing_up_twice_creates_one_account(browser: TestClient, cyclr_simulator: Simulator) -> None:
    first, second = browser.post("/signup", json=JO), browser.post("/signup", json=JO)
    assert first.json() == second.json()
    assert cyclr_simulator.requests.count(operation="accounts.create") == 1


def test_the_redirect_signs_the_user_in(browser: TestClient, cyclr_simulator: Simulator) -> None:
    account_id = browser.post("/signup", json=JO).json()["account"]
    answer = browser.get("/integrations", params={"customer": JO["customer"]})
    assert answer.status_code == 303
    assert answer.headers["Cache-Control"] == "no-store"
    with urllib.request.urlopen(answer.headers["Location"], timeout=5) as page:
        assert "Signed in as <b>jo@example.com</b>" in page.read().decode()
    assert [(visit.account_id, visit.username) for visit in cyclr_simulator.sign_ins] == [(account_id, JO["customer"])]


def test_each_visit_gets_a_link_of_its_own(browser: TestClient) -> None:
    browser.post("/signup", json=JO)
    links = {browser.get("/integrations", params={"customer": JO["customer"]}).headers["Location"] for _ in range(3)}
    assert len(links) == 3
    assert {urlsplit(link).path for link in links} == {"/account/signinwithtoken"}


def test_nobody_gets_in_without_signing_up(browser: TestClient, cyclr_simulator: Simulator) -> None:
    assert browser.get("/integrations", params={"customer": "eve"}).status_code == 404
    assert len(cyclr_simulator.requests) == 0


def test_a_lost_answer_makes_no_second_account(
    browser: TestClient, cyclr_simulator: Simulator, cyclr_faults: FaultInjector
) -> None:
    cyclr_faults.add(Fault.drop("after_commit", operation="accounts.create", times=1))
    assert browser.post("/signup", json=JO).status_code == 201
    assert cyclr_simulator.account_count == 51


def test_a_lost_request_is_reported_and_can_be_repeated(
    browser: TestClient, cyclr_simulator: Simulator, cyclr_faults: FaultInjector
) -> None:
    cyclr_faults.add(Fault.drop("before_commit", operation="accounts.create", times=1))
    assert browser.post("/signup", json=JO).status_code == 503
    assert browser.post("/signup", json=JO).status_code == 201
    assert cyclr_simulator.account_count == 51


def test_a_busy_moment_is_waited_out(browser: TestClient, cyclr_faults: FaultInjector) -> None:
    number = cyclr_faults.add("429:x1:retry-after=0.01:op=accounts.create")
    assert browser.post("/signup", json=JO).status_code == 201
    assert cyclr_faults.hits(number) == 1


def test_a_revoked_token_is_renewed_unnoticed(browser: TestClient, cyclr_simulator: Simulator) -> None:
    browser.post("/signup", json=JO)
    cyclr_simulator.revoke_tokens()
    assert browser.get("/integrations", params={"customer": JO["customer"]}).status_code == 303
    assert cyclr_simulator.requests.count(operation="token") == 2


def test_production_settings_come_from_the_environment(
    cyclr_environment: dict[str, str], cyclr_simulator: Simulator
) -> None:
    with TestClient(create_app()) as browser:
        assert browser.post("/signup", json=JO).status_code == 201
    assert cyclr_simulator.account_count == 51
    assert cyclr_environment["CYCLR_BASE_URL"] == cyclr_simulator.base_url


@pytest.mark.cyclr(accounts=0, latency=0.005)
def test_many_sign_up_at_once(cyclr_simulator: Simulator) -> None:
    async def crowd() -> None:
        async with cyclr_simulator.session() as session:
            await asyncio.gather(*(session.accounts.create(name=f"Customer {number}") for number in range(40)))

    asyncio.run(crowd())
    assert cyclr_simulator.account_count == 40
    assert cyclr_simulator.requests.count(operation="token") == 1
