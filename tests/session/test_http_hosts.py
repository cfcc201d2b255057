"""Plain http: to this machine, to hosts that a setting names, and to nobody else."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from cyclr_async import AsyncPartnerSession, ClientCredentials, ConfigurationError, StaticToken
from cyclr_async.errors import InvalidArgumentError
from cyclr_async.hosts import canonical_host, is_loopback, plain_http_hosts
from cyclr_async.simulator import Simulator

URL = "http://simulator:8080/api/partner"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that knows the name of a container, which is this machine."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        return real("127.0.0.1" if host == "simulator" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_a_session_speaks_to_a_container(names: None) -> None:
    async with Simulator(host="0.0.0.0", unsafe_listen=True, accounts=3) as simulator:
        origin = simulator.url.replace("127.0.0.1", "simulator")
        async with AsyncPartnerSession(
            ClientCredentials(simulator.client_id, simulator.client_secret),
            base_url=f"{origin}/api/partner",
            token_url=f"{origin}/oauth/token",
            http_hosts=("simulator",),
        ) as session:
            accounts = await session.accounts.list()
            token = await session.tokens.create(accounts[0].id, "jo")
        assert len(accounts) == 3
        assert token.url().reveal().startswith(f"{origin}/account/signinwithtoken?token=")
        assert token.url("http://simulator:1").reveal().startswith("http://simulator:1/")
        with pytest.raises(InvalidArgumentError, match="plain http"):
            token.url("http://other:8080")


async def test_a_simulator_for_other_machines_hands_out_sessions() -> None:
    async with Simulator(host="0.0.0.0", unsafe_listen=True, accounts=2) as simulator, simulator.session() as session:
        assert simulator.url.startswith("http://127.0.0.1:")
        assert len(await session.accounts.list()) == 2


@pytest.mark.parametrize("setting", [(), ("simulator2",), ("imulator",), ("x.simulator",), ("simulator.local",)])
@pytest.mark.parametrize("name", ["base_url", "token_url"])
def test_only_exact_names_count(setting: tuple[str, ...], name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} cannot be used: http would send the access token"):
        AsyncPartnerSession(StaticToken("abc"), http_hosts=setting, **{name: URL})  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", ["simulator", "SIMULATOR", "simulator.", " simulator "])
@pytest.mark.parametrize("url", [URL, "http://SIMULATOR/api/partner", "http://simulator.:80/api/partner"])
def test_a_name_counts_in_every_spelling(setting: str, url: str) -> None:
    assert AsyncPartnerSession("abc", base_url=url, http_hosts=[setting]).root.scheme == "http"


def test_addresses_and_international_names() -> None:
    for setting, url in (
        ("172.17.0.2", "http://172.17.0.2:8080/api/partner"),
        ("[fd00::2]", "http://[fd00::2]:8080/api/partner"),
        ("bücher.intern", "http://bücher.intern/api/partner"),
        ("sim_1", "http://sim_1/api/partner"),
    ):
        assert AsyncPartnerSession("abc", base_url=url, http_hosts=[setting]).root.scheme == "http"


@pytest.mark.parametrize(
    "host",
    [
        "cyclr.com",
        "my.cyclr.com",
        "API.Cyclr.COM",
        "my.cyclr.com.",
        "my.cyclr.com..",
        "eu.cyclr.uk",
        "a.b.c.cyclr.uk",
        "my.cyclr\u3002com",
        "my.\uff23\uff39\uff23\uff2c\uff32.com",
        "my.\u217dyclr.com",
        " my.cyclr.com ",
    ],
)
def test_cyclrs_own_hosts_are_never_spoken_to_in_clear_text(host: str) -> None:
    with pytest.raises(ConfigurationError, match="belongs to Cyclr"):
        AsyncPartnerSession("abc", http_hosts=[host])


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*",
        "*.example.com",
        ".example.com",
        "example.*",
        "%",
        "cyclr%2ecom",
        "0.0.0.0",
        "::",
        "simulator:8080",
        "http://simulator",
        "simulator/",
        "user@simulator",
        "a b",
        "a..b",
        "my.cy\u00adclr.com",
        "my.cy\u200dclr.com",
        "-x",
        None,
        7,
        b"simulator",
    ],
)
def test_what_is_not_one_host_is_refused(host: Any) -> None:
    with pytest.raises(ConfigurationError, match="not the name of one host"):
        AsyncPartnerSession("abc", http_hosts=[host])


@pytest.mark.parametrize("setting", ["simulator", None, 7])
def test_the_setting_is_a_sequence(setting: Any) -> None:
    with pytest.raises(ConfigurationError, match="sequence"):
        AsyncPartnerSession("abc", http_hosts=setting)


def test_names_that_look_like_cyclr_are_other_names() -> None:
    assert plain_http_hosts(["notcyclr.com", "cyclr.com.example", "\u0441yclr.com"]) == {
        "notcyclr.com",
        "cyclr.com.example",
        "xn--yclr-k6d.com",
    }


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("localhost.", True),
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        (None, False),
        ("", False),
        ("localhost.example.com", False),
        ("x.localhost", False),
        ("127.0.0.1.example.com", False),
        ("128.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
        ("2130706433", False),
        ("local host", False),
    ],
)
def test_loopback(host: str | None, answer: bool) -> None:
    assert is_loopback(host) is answer


def test_canonical_host_of_nonsense() -> None:
    assert [canonical_host(text) for text in ("", ".", "*", "a/b", "[", "a:b", "a\0b")] == [""] * 7


async def test_the_environment_names_them(names: None) -> None:
    async with Simulator(host="0.0.0.0", unsafe_listen=True) as simulator:
        origin = simulator.url.replace("127.0.0.1", "simulator")
        variables = {
            "CYCLR_BASE_URL": f"{origin}/api/partner",
            "CYCLR_TOKEN_URL": f"{origin}/oauth/token",
            "CYCLR_CLIENT_ID": simulator.client_id,
            "CYCLR_CLIENT_SECRET": simulator.client_secret,
        }
        with pytest.raises(ConfigurationError, match=r"CYCLR_BASE_URL: .*CYCLR_TOKEN_URL: "):
            AsyncPartnerSession.from_env(variables)
        async with AsyncPartnerSession.from_env({**variables, "CYCLR_HTTP_HOSTS": "other, simulator,"}) as session:
            await asyncio.wait_for(session.details(), 10)
        with pytest.raises(ConfigurationError, match=r"CYCLR_HTTP_HOSTS: .*not the name of one host"):
            AsyncPartnerSession.from_env({**variables, "CYCLR_HTTP_HOSTS": "simulator,*"})
