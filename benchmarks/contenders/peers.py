"""Today's other asynchronous clients, most of them written in Rust: bytes in, bytes out, like the base of the ratios.

None is told to check, retry, limit or decode anything, so each has less to do than this package.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final

from typing_extensions import override

from benchmarks.bodies import TOKEN
from benchmarks.contenders.base import SingleCalls

__all__ = ["PEERS"]

_HEADERS: Final = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json", "User-Agent": "benchmark"}


class _Peer(SingleCalls):
    """A client with a ``get``; the packages are looked up by name, because few of them come with types."""

    client: Any

    @override
    async def open(self, base_url: str, concurrency: int) -> None:
        self.concurrency = concurrency
        self.base_url = base_url
        self.client = self.made(concurrency)

    def made(self, concurrency: int) -> Any:
        """Return the client."""
        raise NotImplementedError

    def url(self, account_id: str) -> str:
        """Where the usage of an account is."""
        return f"{self.base_url}/accounts/{account_id}/billing"

    @override
    async def close(self) -> None:
        """Nothing to close, as far as the client is concerned."""


class _Wreq(_Peer):
    @override
    def made(self, concurrency: int) -> Any:
        return importlib.import_module("wreq").Client()

    @override
    async def call(self, account_id: str) -> object:
        response = await self.client.get(self.url(account_id), headers=_HEADERS)
        return await response.bytes()


class _Pyreqwest(_Peer):
    @override
    def made(self, concurrency: int) -> Any:
        builder = importlib.import_module("pyreqwest.client").ClientBuilder()
        return builder.default_headers(_HEADERS).max_connections(concurrency).build()

    @override
    async def call(self, account_id: str) -> object:
        response = await self.client.get(self.url(account_id)).build().send()
        return await response.bytes()

    @override
    async def close(self) -> None:
        await self.client.close()


class _Pyqwest(_Peer):
    @override
    def made(self, concurrency: int) -> Any:
        return importlib.import_module("pyqwest").Client()

    @override
    async def call(self, account_id: str) -> object:
        return (await self.client.get(self.url(account_id), headers=_HEADERS)).content


class _Primp(_Peer):
    @override
    def made(self, concurrency: int) -> Any:
        return importlib.import_module("primp").AsyncClient(headers=_HEADERS)

    @override
    async def call(self, account_id: str) -> object:
        return (await self.client.get(self.url(account_id))).content


class _Aiosonic(_Peer):
    @override
    def made(self, concurrency: int) -> Any:
        aiosonic = importlib.import_module("aiosonic")
        # Its own default is 30, at which many of the workers would wait.
        pool = importlib.import_module("aiosonic.pools").PoolConfig(size=concurrency)
        connector = importlib.import_module("aiosonic.connectors").TCPConnector({":default": pool})
        return aiosonic.HTTPClient(connector)

    @override
    async def call(self, account_id: str) -> object:
        response = await self.client.get(self.url(account_id), headers=_HEADERS)
        return await response.content()


class _Niquests(_Peer):
    @override
    def made(self, concurrency: int) -> Any:
        session = importlib.import_module("niquests").AsyncSession(pool_maxsize=concurrency)
        session.headers.update(_HEADERS)
        session.trust_env = False  # else the environment is read for every call
        return session

    @override
    async def call(self, account_id: str) -> object:
        return (await self.client.get(self.url(account_id))).content

    @override
    async def close(self) -> None:
        await self.client.close()


PEERS: Final[dict[str, Callable[[], SingleCalls]]] = {
    "wreq": _Wreq,
    "pyreqwest": _Pyreqwest,
    "pyqwest": _Pyqwest,
    "primp": _Primp,
    "aiosonic": _Aiosonic,
    "niquests": _Niquests,
}
"""By package."""
