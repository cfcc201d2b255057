"""Whose data a store holds: named by the caller, else by the service, else by the client id."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cyclr_async import AccessToken, AsyncPartnerSession, ClientCredentials, PasswordGrant, StaticToken
from cyclr_async.auth.providers import Exchange
from cyclr_async.errors import (
    AuthenticationError,
    BulkInterruptedError,
    ConfigurationError,
    DecodeError,
    ResponseError,
    StoreError,
)
from cyclr_async.simulator import Fault, Simulator
from cyclr_async.usage import RunScope, UsageReader, UsageStore
from cyclr_async.usage.store.store import rekey_store
from tests.support.store_v1 import version_1
from tests.support.usage_make import At, bad, good
from tests.support.usage_server import PartnerServer, account_ids, all_of, http


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(accounts=3) as simulator:
        simulator.faults.add(Fault.status(400, operation="accounts.usage", account_id=simulator.account_ids()[0]))
        yield simulator


async def collect(sim: Simulator, path: Path, **options: Any) -> int:
    """Collect, and return how many accounts were asked for."""
    async with sim.session(**options) as session:
        return len(await all_of(session.accounts.collect_usage(store=path)))


def named(path: Path) -> set[str]:
    with UsageReader(path) as reader:
        return {run.scope.partner for run in reader.runs()}


class Vault:
    """A provider of the caller's own: where its tokens come from is nobody's business."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self.fetched = 0

    async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
        self.fetched += 1
        return await ClientCredentials(self._sim.client_id, self._sim.client_secret).fetch(exchange, previous)


async def a_token(sim: Simulator) -> StaticToken:
    """A token as somebody would have copied it from elsewhere; every one is another."""
    kept: list[AccessToken] = []
    async with sim.session(on_token=kept.append) as session:
        await session.details()
    return StaticToken(kept[0].value)


async def test_a_new_token_is_the_same_partner(sim: Simulator, path: Path) -> None:
    first = await a_token(sim)
    sim.revoke_tokens()
    second = await a_token(sim)
    assert first.access_token.value.reveal() != second.access_token.value.reveal()
    sim.requests.clear()
    with pytest.raises(BulkInterruptedError):
        await collect(sim, path, auth=first)
    assert not path.exists()  # noqa: ASYNC240
    assert await collect(sim, path, auth=second) == 3
    sim.revoke_tokens()
    assert await collect(sim, path, auth=await a_token(sim)) == 1
    assert named(path) == {"partner.example.com"}


async def test_every_way_of_signing_in_is_the_same_partner(sim: Simulator, path: Path) -> None:
    ways: list[Any] = [
        ClientCredentials(sim.client_id, sim.client_secret),
        PasswordGrant(sim.client_id, sim.username, sim.password),
        Vault(sim),
        await a_token(sim),
    ]
    assert [await collect(sim, path, auth=way) for way in ways] == [3, 1, 1, 1]


@pytest.mark.parametrize("named_by", ["service", "caller"])
async def test_another_client_id_is_the_same_partner(path: Path, named_by: str) -> None:
    options: dict[str, Any] = {"partner": "acme"} if named_by == "caller" else {}
    port = 0
    for client_id, asked in (("first-id", 2), ("second-id", 1)):
        async with Simulator(accounts=2, port=port, client_id=client_id) as sim:
            port = int(sim.url.rpartition(":")[2])
            sim.faults.add(Fault.status(400, operation="accounts.usage", account_id=sim.account_ids()[0]))
            assert await collect(sim, path, **options) == asked
    assert named(path) == {"acme" if options else "partner.example.com"}


async def test_two_partners_behind_one_class_of_provider(sim: Simulator, path: Path) -> None:
    await collect(sim, path, auth=Vault(sim))
    sim.details["Domain"] = "other.example.com"
    asked = sim.requests.count(operation="accounts.usage")
    with pytest.raises(StoreError) as caught:
        await collect(sim, path, auth=Vault(sim))
    for words in ("another partner, 'partner.example.com', and this is 'other.example.com'", "cyclr usage rekey"):
        assert words in caught.value.message
    assert sim.requests.count(operation="accounts.usage") == asked
    assert named(path) == {"partner.example.com"}
    with pytest.raises(StoreError, match="another partner"):
        await collect(sim, path, auth=Vault(sim), partner="acme")
    await collect(sim, path, auth=Vault(sim), partner="partner.example.com")


@pytest.mark.parametrize("domain", [None, "", "  "])
@pytest.mark.parametrize("status", [None, 403, 404])
async def test_without_a_domain_the_client_id_is_the_name(
    sim: Simulator, path: Path, domain: str | None, status: int | None
) -> None:
    sim.details["Domain"] = domain
    if status is not None:
        sim.faults.add(Fault.status(status, operation="details"))
    await collect(sim, path)
    assert named(path) == {sim.client_id}
    nameless: list[Any] = [Vault(sim), await a_token(sim)] if status is None else [Vault(sim)]
    for provider in nameless:
        with pytest.raises(ConfigurationError, match="partner='"):
            await collect(sim, path, auth=provider)
        assert await collect(sim, path, auth=provider, partner=sim.client_id) == 1


async def test_a_provider_names_its_partner(sim: Simulator, path: Path) -> None:
    vault = Vault(sim)
    vault.partner_id = "acme"  # type: ignore[attr-defined]
    await collect(sim, path, auth=vault)
    assert named(path) == {"acme"}
    assert sim.requests.count(operation="details") == 0


async def test_who_was_known_by_its_client_id_is_renamed_when_the_service_names_it(sim: Simulator, path: Path) -> None:
    sim.details["Domain"] = None
    await collect(sim, path)
    sim.details["Domain"] = "Partner.Example.COM."
    assert await collect(sim, path) == 1
    assert named(path) == {"partner.example.com"}


@pytest.mark.parametrize(
    "fault", [Fault.status(400, operation="details"), Fault.wrong_json('{"Domain":5}', operation="details")]
)
async def test_no_guess_when_the_service_cannot_be_asked(sim: Simulator, path: Path, fault: Fault) -> None:
    sim.faults.add(fault)
    with pytest.raises(BulkInterruptedError, match="whose data this is") as caught:
        await collect(sim, path)
    assert (caught.value.reason, caught.value.resumable) == ("interrupted", True)
    assert not path.exists()  # noqa: ASYNC240
    assert sim.requests.count(operation="accounts.usage") == 0
    async with sim.session() as session:
        with pytest.raises((DecodeError, ResponseError)):
            await session.identify()


async def test_refused_credentials_are_told_as_such(sim: Simulator, path: Path) -> None:
    with pytest.raises(BulkInterruptedError, match="credentials were refused") as caught:
        await collect(sim, path, auth=ClientCredentials(sim.client_id, "wrong"))
    assert caught.value.reason == "authentication"
    assert isinstance(caught.value.__cause__, AuthenticationError)


async def test_the_partner_is_asked_for_once_per_collection_and_never_besides(path: Path) -> None:
    ids = account_ids(5)
    async with PartnerServer(ids) as server:
        async with server.session() as session:
            await session.accounts.list()
            await session.accounts.usage(ids[0])
            await all_of(session.accounts.collect_usage(ids))  # no store, nothing to keep apart
            assert server.identified == 0
            for number in (1, 2):
                await all_of(session.accounts.collect_usage(store=path))
                assert server.identified == number
        async with server.session(partner="partner.example.com") as session:
            assert session.partner == "partner.example.com"
            await all_of(session.accounts.collect_usage(store=path))
        assert server.identified == 2


async def test_nothing_of_the_settings_is_needed_but_the_domain(path: Path) -> None:
    async with PartnerServer(account_ids(1)) as server, server.session() as session:
        server.details = {"Domain": "p.example.com", "CycleNoun": 5, "ComingSoonConnectorsEnabled": "perhaps"}
        assert (await session.identify()).name == "p.example.com"
        refused: list[Any] = [[], {"Domain": 5}, {"Domain": "a\nb"}]
        for wrong in refused:
            server.details = wrong
            with pytest.raises(DecodeError):
                await session.identify()


@pytest.mark.parametrize("name", ["", " ", "a\nb", 5, b"acme", "x" * 256])
def test_a_partner_that_is_no_name(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="partner must be"):
        AsyncPartnerSession("token", partner=name)


def test_the_partner_from_the_environment() -> None:
    environ = {"CYCLR_ACCESS_TOKEN": "t", "CYCLR_PARTNER": " acme "}
    assert AsyncPartnerSession.from_env(environ).partner == "acme"
    with pytest.raises(ConfigurationError, match="CYCLR_PARTNER"):
        AsyncPartnerSession.from_env({**environ, "CYCLR_PARTNER": "a\tb"})


# A store that the caller has opened.


async def test_an_open_store_whose_scope_came_from_the_file_is_checked(path: Path) -> None:
    ids = account_ids(2)
    async with PartnerServer(ids, lambda one, _: http(400, {}) if one == ids[0] else None) as server:
        async with server.session() as session:
            await all_of(session.accounts.collect_usage(store=path))
            server.details = {"Domain": "other.example.com"}
            async with await UsageStore.open(path, None, resume=True) as store:
                with pytest.raises(StoreError, match="another partner"):
                    await all_of(session.accounts.collect_usage(store=store))
                assert (await store.counts()).ok == 1  # it is as usable as before
                server.details = {"Domain": "partner.example.com"}
                assert len(await all_of(session.accounts.collect_usage(store=store))) == 1
        scope = RunScope(server.base_url, "acme")
        mine = path.with_name("mine.db")
        async with server.session() as session, await UsageStore.open(mine, scope) as store:
            await all_of(session.accounts.collect_usage(store=store))  # the caller said so
        async with server.session(partner="other") as session, await UsageStore.open(mine, scope) as store:
            with pytest.raises(StoreError, match="'acme', and this is 'other'"):
                await all_of(session.accounts.collect_usage(store=store))


# Places.


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ("https://my.cyclr.com/api/partner/", True),
        ("https://MY.Cyclr.com/api/partner", True),
        ("HTTPS://my.cyclr.com:443/api/partner", True),
        ("https://my.cyclr.com:8443/api/partner", False),
        ("http://my.cyclr.com/api/partner", False),
        ("https://my.cyclr.com/api/other", False),
        ("https://eu.cyclr.com/api/partner", False),
    ],
)
async def test_the_same_place_written_in_another_way(path: Path, found: str, same: bool) -> None:
    async with await UsageStore.open(path, RunScope(found, "acme")) as store:
        await store.add_accounts(["a"])
    wanted = RunScope("https://my.cyclr.com/api/partner", "ACME ")
    if same:
        async with await UsageStore.open(path, wanted) as store:
            assert store.run_id == 1
    else:
        with pytest.raises(StoreError, match="one store per host"):
            await UsageStore.open(path, wanted)


async def test_a_store_that_holds_nothing_is_nobodys(path: Path) -> None:
    """A first try with a wrong region must not bind the file."""
    await (await UsageStore.open(path, RunScope("https://us.example.com/api/partner", "a"))).close()
    async with await UsageStore.open(path, RunScope("https://eu.example.com/api/partner", "b")) as store:
        await store.add_accounts(["x"])
    with pytest.raises(StoreError, match="one store per host"):
        await UsageStore.open(path, RunScope("https://us.example.com/api/partner", "a"))


# A new name, by hand.


async def test_a_store_gets_a_new_name(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope, clock=At()) as store:
        await store.record(good("a"))
        await store.record(bad("b"))
        with pytest.raises(StoreError, match="in use"):
            rekey_store(path, "new")
    with pytest.raises(StoreError, match="no store"):
        rekey_store(path.with_name("none.db"), "new")
    with pytest.raises(ConfigurationError):
        rekey_store(path, " ")
    assert rekey_store(path, "new") == 1
    assert rekey_store(path, "new") == 0
    with pytest.raises(StoreError, match="'new'"):
        await UsageStore.open(path, scope, clock=At())
    async with await UsageStore.open(path, RunScope(scope.base_url, "new", scope.from_date), clock=At()) as store:
        assert (store.run_id, (await store.counts()).asked) == (1, 2)


NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def test_a_store_of_release_0_1_goes_on_under_the_name_of_its_partner(path: Path) -> None:
    ids = account_ids(4)
    async with PartnerServer(ids) as server:
        version_1(path, server.base_url, hashed("token:token"), ids)
        with UsageReader(path) as reader:  # reading leaves it as it is
            (old,) = reader.runs()
            assert (old.scope.ids, old.oldest_at, old.counts.ok) == (None, None, 1)
            assert [row.account_id for row in reader.rows()] == ids
        assert _version(path) == 1
        async with server.session(clock=At(NOW)) as session:
            run = session.accounts.collect_usage(store=path)
            assert {one.account_id for one in await all_of(run)} == set(ids[1:])
            assert (run.progress.ok, run.progress.oldest_age, server.lists) == (4, 2.5 * 3600, 0)
    assert _version(path) == 3
    assert named(path) == {"partner.example.com"}
    with UsageReader(path) as reader:
        (info,) = reader.runs()
        assert (info.status, info.scope.ids, info.counts.ok) == ("complete", "all", 4)
        assert [row.task_count for row in reader.history(ids[0])] == [7]
    with closing(sqlite3.connect(path)) as kept:
        assert "token" not in str(kept.execute("SELECT * FROM run").fetchall())
        async with PartnerServer(ids) as server, server.session() as session:
            fresh = path.with_name("new.db")
            await all_of(session.accounts.collect_usage(store=fresh))
        assert _schema(path) == _schema(fresh)


def _schema(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as store:
        rows = store.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    return [(name, "".join((sql or "").split())) for name, sql in rows]


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as store:
        return int(store.execute("PRAGMA user_version").fetchone()[0])


async def test_a_store_of_release_0_1_of_somebody_else_is_refused(path: Path) -> None:
    ids = account_ids(4)
    async with PartnerServer(ids) as server:
        version_1(path, server.base_url, hashed("token:rotated since"), ids)
        async with server.session(clock=At(NOW)) as session:
            for _ in range(2):
                with pytest.raises(StoreError, match=r"another partner.*cyclr usage rekey --store .*usage\.db"):
                    await all_of(session.accounts.collect_usage(store=path))
            rekey_store(path, "partner.example.com")
            assert len(await all_of(session.accounts.collect_usage(store=path))) == 3


async def test_the_hash_of_a_class_of_providers_is_nobody(sim: Simulator, path: Path) -> None:
    version_1(path, sim.base_url, hashed(f"provider:{Vault.__qualname__}"), account_ids(4))
    with pytest.raises(StoreError, match="another partner"):
        await collect(sim, path, auth=Vault(sim))


async def test_a_run_of_release_0_1_about_unknown_accounts_is_closed(path: Path) -> None:
    ids = account_ids(4)
    async with PartnerServer(ids) as server, server.session(clock=At(NOW)) as session:
        version_1(path, server.base_url, hashed("token:token"), ids, listed=False)
        assert len(await all_of(session.accounts.collect_usage(store=path))) == 4
    with UsageReader(path) as reader:
        assert [run.status for run in reader.runs()] == ["complete", "abandoned"]


async def test_a_migration_that_is_broken_off_has_changed_nothing(path: Path, scope: RunScope) -> None:
    version_1(path, scope.base_url, "p", account_ids(4))
    with closing(sqlite3.connect(path)) as store:
        store.execute("CREATE TABLE blocker (x)")
        store.execute("ALTER TABLE item ADD COLUMN turn TEXT")  # the migration adds one of this name, late
        before = store.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    with pytest.raises(StoreError, match="failed"):
        await UsageStore.open(path, scope)
    with closing(sqlite3.connect(path)) as store:
        assert store.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall() == before
    assert _version(path) == 1
