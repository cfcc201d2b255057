"""Every setting and every argument, with values that cannot be valid: an error of the package that says what to do.

Nothing is sent, and no other exception escapes.
"""

from __future__ import annotations

import asyncio
import decimal
import math
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
import trustme

from cyclr_async import (
    AsyncPartnerSession,
    ConfigurationError,
    CyclrError,
    InvalidArgumentError,
    Limits,
    RetryPolicy,
    Timeouts,
    WrongEventLoopError,
)
from tests.support.canary import BEARER, PASSWORD, assert_no_canary
from tests.support.examples import ACCOUNT_ID
from tests.support.recorder import Recorder, reply

LOOP: list[Any] = []
LOOP.append(LOOP)
HOSTILE: list[Any] = [
    True,
    -1,
    0,
    10**400,
    10**5000,
    -(10**400),
    1e308,
    1e-320,
    math.nan,
    math.inf,
    -math.inf,
    "",
    " ",
    "x",
    "\x00",
    "a\r\nX: y",
    "\ud800",
    "x" * 10_000,
    b"x",
    [],
    {},
    set(),
    object(),
    decimal.Decimal("NaN"),
    LOOP,
    {"a": None},
    {"a": {"b": 1}},
    {5: "a"},
    {b"a": "b"},
    {"\ud800": "a"},
    ["a"],
    type,
    range(3),
    3 + 4j,
    Exception("x"),
]
SETTINGS = [
    "region",
    "base_url",
    "token_url",
    "timeouts",
    "retry",
    "limits",
    "ca_file",
    "client_certificate",
    "ssl_context",
    "proxy",
    "trace_configs",
    "on_event",
    "on_token",
    "clock",
]
NUMBERS = [(cls, field.name) for cls in (Timeouts, RetryPolicy, Limits) for field in attrs.fields(cls)]


def _short(value: object) -> str:
    try:
        return ascii(value)[:30]
    except ValueError:
        return "a long int"


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_is_taken_or_refused(setting: str) -> None:
    refused = 0
    for value in HOSTILE:
        try:
            session = AsyncPartnerSession(BEARER, **{setting: value})
        except ConfigurationError as error:
            refused += 1
            _helps(error)
        else:
            assert repr(session).startswith("<AsyncPartnerSession")
    assert refused >= len(HOSTILE) - 3


@pytest.mark.parametrize(("cls", "field"), NUMBERS, ids=lambda value: getattr(value, "__name__", value))
def test_a_number_is_taken_or_refused(cls: Any, field: str) -> None:
    refused = 0
    for value in HOSTILE:
        try:
            made = cls(**{field: value})
        except ConfigurationError as error:
            refused += 1
            _helps(error, f"{cls.__name__}.{field}")
        else:
            taken = getattr(made, field)
            assert isinstance(taken, (int, float))
            assert taken <= sys.maxsize
    assert refused >= len(HOSTILE) - 4


def _helps(error: CyclrError, name: str = "") -> None:
    assert name in str(error)
    assert (error.sent, error.attempts) == ("never", 0)
    assert len(str(error)) < 400
    assert str(error).isprintable()
    assert error.__cause__ is None


@pytest.mark.parametrize("seconds", [1e308, 10**400, math.inf, math.nan, 1e9 + 1])
def test_no_time_is_longer_than_a_clock(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match=r"Timeouts\.deadline must be a finite number of seconds"):
        Timeouts(deadline=seconds)


Operation = Callable[[AsyncPartnerSession, Any], Coroutine[Any, Any, object]]


async def _first(session: AsyncPartnerSession, **options: Any) -> object:
    return await anext(session.accounts.iter(**options))


OPERATIONS: dict[str, Operation] = {
    "usage id": lambda s, v: s.accounts.usage(v),
    "usage from_date": lambda s, v: s.accounts.usage(ACCOUNT_ID, from_date=v),
    "usage timeout": lambda s, v: s.accounts.usage(ACCOUNT_ID, timeout=v),
    "list timeout": lambda s, v: s.accounts.list(timeout=v),
    "list hook": lambda s, v: s.accounts.list(on_bad_record=v),
    "iter timeout": lambda s, v: _first(s, timeout=v),
    "iter hook": lambda s, v: _first(s, on_bad_record=v),
    "plans timeout": lambda s, v: s.priceplans.list(timeout=v),
    "details timeout": lambda s, v: s.details(timeout=v),
    "sign-in id": lambda s, v: s.tokens.create(v, "jo"),
    "sign-in user": lambda s, v: s.tokens.create(ACCOUNT_ID, v),
    "sign-in timeout": lambda s, v: s.tokens.create(ACCOUNT_ID, "jo", timeout=v),
    "method": lambda s, v: s.request(v, "details"),
    "path": lambda s, v: s.request("GET", v),
    "query": lambda s, v: s.request("GET", "details", query=v),
    "query value": lambda s, v: s.request("GET", "details", query={"a": v}),
    "query values": lambda s, v: s.request("GET", "details", query={"a": ["b", v]}),
    "json": lambda s, v: s.request("POST", "details", json=v),
    "json value": lambda s, v: s.request("POST", "details", json={"a": v}),
    "repeatable": lambda s, v: s.request("GET", "details", repeatable=v),
    "request timeout": lambda s, v: s.request("GET", "details", timeout=v),
    **{
        f"create {name}": lambda s, v, name=name: s.accounts.create(**{"name": "x", name: v})  # type: ignore[misc]
        for name in (
            "name",
            "description",
            "timezone",
            "price_plan_id",
            "next_bill_date",
            "audit_info",
            "reconcile",
            "timeout",
        )
    },
    **{
        f"update {name}": lambda s, v, name=name: s.accounts.update(ACCOUNT_ID, **{name: v})  # type: ignore[misc]
        for name in ("name", "description", "timezone", "price_plan_id", "next_bill_date", "audit_info", "timeout")
    },
    **{
        f"install {name}": lambda s, v, name=name: s.connectors.install(  # type: ignore[misc]
            **{"account_id": ACCOUNT_ID, "name": "n", "version": "v1", "installed_name": "i", name: v}
        )
        for name in ("account_id", "name", "version", "installed_name", "api_key", "username", "password", "timeout")
    },
}


@pytest.fixture
async def server() -> AsyncIterator[Recorder]:
    async with Recorder(reply("{}")) as server:
        yield server


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_argument_is_taken_or_refused(server: Recorder, name: str) -> None:
    refused = 0
    async with AsyncPartnerSession(BEARER, base_url=server.base_url, retry=RetryPolicy(attempts=1)) as session:
        for value in HOSTILE:
            heard = len(server.heard)
            try:
                await asyncio.wait_for(OPERATIONS[name](session, value), 5)
            except InvalidArgumentError as error:
                refused += 1
                _helps(error)
                assert len(server.heard) == heard, f"{name} {_short(value)} was sent"
            except CyclrError:
                pass  # it was taken, and the answer of this server is not what it should be
    assert refused >= 5


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ({"a": "1&2", "b": 3}, "?a=1%262&b=3"),
        ({"a": ["x", 2]}, "?a=x&a=2"),
        ({"a": ("x",), "b": 1.5}, "?a=x&b=1.5"),
        ({"a": ""}, "?a="),
        ({"a": []}, ""),
        ({}, ""),
        ({"ä": "\r\n\x00 é"}, "?%C3%A4=%0D%0A%00+%C3%A9"),
    ],
)
async def test_a_query_is_encoded(server: Recorder, query: Any, sent: str) -> None:
    async with AsyncPartnerSession(BEARER, base_url=server.base_url) as session:
        await session.request("GET", "details", query=query)
    assert server.heard[0].target == f"/api/partner/details{sent}"


@pytest.mark.parametrize("value", [None, True, b"x", math.nan, "\ud800", {"a": 1}, [["a"]], 10**5000], ids=_short)
async def test_a_query_value_that_cannot_be_sent_is_named(server: Recorder, value: Any) -> None:
    async with AsyncPartnerSession(BEARER, base_url=server.base_url) as session:
        with pytest.raises(InvalidArgumentError, match="the value of 'filter' in query cannot be sent"):
            await session.request("GET", "details", query={"filter": value})
    assert server.heard == []


@pytest.mark.parametrize(
    "proxy",
    [
        "h:3128",
        "h",
        "//h:3128",
        "http://",
        "http://h:0",
        "http://h:99999",
        "http://h:-1",
        "http://h:x",
        "http://[::1",
        "http://:3128",
        "socks5://h:1080",
        "ftp://h",
        "http://h/path",
        "http://h?a=b",
        "http://h h",
        "http://h\r\n",
        "http://\ud800",
        f"http://u:{PASSWORD}\u20ac@h:3128",
        f"http://a%3Ab:{PASSWORD}@h:3128",
        f"u:{PASSWORD}@h:3128",
    ],
    ids=ascii,
)
def test_a_proxy_that_cannot_be_used(proxy: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^proxy cannot be used: .*http://proxy\.example\.com:3128$"
    ) as caught:
        AsyncPartnerSession(BEARER, proxy=proxy)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("proxy", ["http://h", "http://h:3128/", "https://u:p@h:1", "http://[::1]:3128", "http://u@h"])
def test_a_proxy_that_can(proxy: str) -> None:
    AsyncPartnerSession(BEARER, proxy=proxy)


@pytest.mark.parametrize("url", ["https://h:0/api", "https://h:99999/api", "https://[::1/api", "http://127.0.0.1:0/x"])
def test_an_address_that_cannot_be_reached(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        AsyncPartnerSession(BEARER, base_url=url)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A certificate, its key, and the key encrypted."""
    folder = tmp_path_factory.mktemp("client")
    leaf = trustme.CA().issue_cert("client.example.com")
    plain, locked, chain = folder / "key.pem", folder / "locked.pem", folder / "cert.pem"
    leaf.private_key_pem.write_to_path(plain)
    leaf.cert_chain_pems[0].write_to_path(chain)
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - comes with trustme, used here alone

    key = serialization.load_pem_private_key(plain.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a password"),
        )
    )
    return chain, plain, locked


async def test_an_encrypted_key_is_said_to_be_one(certificate: tuple[Path, Path, Path]) -> None:
    chain, _, locked = certificate
    async with AsyncPartnerSession(BEARER, client_certificate=(chain, locked)) as session:
        with pytest.raises(ConfigurationError, match="key of client_certificate is encrypted: decrypt it") as caught:
            await asyncio.wait_for(session.details(), 5)
    assert caught.value.sent == "never"


def test_an_encrypted_key_is_not_asked_for_at_the_terminal(certificate: tuple[Path, Path, Path]) -> None:
    """With a terminal at hand, which OpenSSL would open by itself."""
    chain, _, locked = certificate
    script = (
        "import asyncio, sys\n"
        "from cyclr_async import AsyncPartnerSession, ConfigurationError\n"
        "async def main():\n"
        "    async with AsyncPartnerSession('t', client_certificate=tuple(sys.argv[1:])) as session:\n"
        "        try: await session.details()\n"
        "        except ConfigurationError as error: print('refused', error)\n"
        "asyncio.run(main())\n"
    )
    pty = pytest.importorskip("pty")  # not on Windows
    parent, child = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", script, str(chain), str(locked)],
        stdin=child,
        stdout=subprocess.PIPE,
        stderr=child,
        start_new_session=True,
        timeout=20,
        check=False,
    )
    os.close(child)
    os.set_blocking(parent, False)
    try:
        asked = os.read(parent, 1000)
    except OSError:
        asked = b""
    os.close(parent)
    assert done.stdout.startswith(b"refused")
    assert b"pass" not in asked.lower(), asked


async def test_files_that_do_not_belong_together(certificate: tuple[Path, Path, Path], tmp_path: Path) -> None:
    chain, plain, _ = certificate
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("other.example.com").private_key_pem.write_to_path(other)
    for files in ((chain, other), (plain, chain), (chain, chain)):
        async with AsyncPartnerSession(BEARER, client_certificate=files) as session:
            with pytest.raises(ConfigurationError, match="client_certificate cannot be used"):
                await session.details()


async def test_a_borrowed_session_with_credentials_of_its_own(server: Recorder) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # aiohttp may call auth= deprecated
        own = aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", PASSWORD))
    async with own:
        with pytest.raises(ConfigurationError, match="client_session has auth= of its own") as caught:
            AsyncPartnerSession(BEARER, base_url=server.base_url, client_session=own)
    assert_no_canary(caught.value)
    assert server.connections == 0


async def test_a_borrowed_session_with_netrc(server: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login user password {PASSWORD}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with (
        aiohttp.ClientSession(trust_env=True) as own,
        AsyncPartnerSession(BEARER, base_url=server.base_url, client_session=own) as session,
    ):
        for call in (session.details(), session.accounts.list(), session.accounts.create(name="x"), _first(session)):
            with pytest.raises(ConfigurationError, match=r"\.netrc") as caught:
                await call
            assert caught.value.attempts == 1
            assert_no_canary(caught.value)
    assert server.connections == 0


def test_another_event_loop_than_asyncios() -> None:
    """As under trio: the coroutine runs, and no loop of asyncio does."""
    session = AsyncPartnerSession(BEARER, base_url="http://127.0.0.1:9/x")
    for call in (session.details(), session.accounts.list(), session.request("GET", "x"), _first(session)):
        with pytest.raises(WrongEventLoopError, match="no event loop of asyncio runs here"):
            call.send(None)
        call.close()
    with pytest.raises(StopIteration):
        session.close().send(None)


def test_another_event_loop_after_asyncios() -> None:
    session = AsyncPartnerSession(BEARER, base_url="http://127.0.0.1:9/x", retry=RetryPolicy(attempts=1))

    async def use() -> None:
        with pytest.raises(CyclrError):
            await session.details()
        await session.close()

    asyncio.run(use())
    call = session.details()
    with pytest.raises(CyclrError):
        call.send(None)
    with pytest.raises(StopIteration):
        session.close().send(None)
