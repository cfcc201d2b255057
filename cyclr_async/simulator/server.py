"""The simulator as a server: in the running event loop, in a thread of its own, or standing alone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypedDict, Unpack
from urllib.parse import urlsplit

from aiohttp import web

from cyclr_async.hosts import canonical_host, is_loopback
from cyclr_async.simulator.app import SimulatorApp
from cyclr_async.simulator.domain.catalogue import Catalogue, Connector
from cyclr_async.simulator.domain.clock import SessionClock, SimulatedClock
from cyclr_async.simulator.domain.oauth import SignIn
from cyclr_async.simulator.domain.partner_state import AccountRecord, Installed
from cyclr_async.simulator.domain.simulator_state import RequestLog, Settings, SimulatorState
from cyclr_async.simulator.faults.fault import Fault
from cyclr_async.simulator.faults.injector import FaultInjector
from cyclr_async.simulator.seed_state import read_state

if TYPE_CHECKING:
    from cyclr_async import AsyncPartnerSession, SessionOptions

__all__ = ["EXPOSED", "Simulator", "SimulatorSettings", "serve"]

EXPOSED: Final = (
    "the simulator listens on {host}: whoever can reach it may use and change it, because its credentials are public "
    "and its control endpoint asks for none. It is for invented data in a network of your own"
)
"""What is said aloud when other machines can reach it."""

_LOOPBACK: Final = "127.0.0.1"


def _allowed(name: str) -> str:
    host = canonical_host(name)
    if not host:
        raise ValueError(f"allowed_hosts are exact names, such as 'simulator', without port or wildcard: not {name!r}")
    return f"[{host}]" if ":" in host else host


class SimulatorSettings(TypedDict, total=False):
    """Keywords of :class:`Simulator` besides those it names; their meaning is said there."""

    now: datetime
    frozen: bool
    real_time: bool | None
    page_size: int
    connectors_need_account: bool
    rate_limit: float | None
    faults: Iterable[Fault | str]
    token_lifetime: int
    one_token_pair: bool
    sign_in_lifetime: float
    create_unknown_users: bool
    connectors: Iterable[Connector]
    log_size: int
    client_id: str
    client_secret: str
    username: str
    password: str


class Simulator:
    """Both APIs of Cyclr on this machine, the partner API and v1.0, with one state and faults.

    Use ``async with Simulator() as sim:`` in the running event loop, or ``with Simulator().in_thread() as sim:`` in a
    thread of its own, for code that is not async. Everything it holds can be looked at and changed while it runs.

    Args:
        accounts: how many accounts exist from the start, 0 to 1,000,000,000; they are derived, not stored. None for 50,
            or for as many as ``state`` says.
        seed: the same seed gives the same accounts, ids, tokens and usage.
        state: what it begins with besides: the path of a JSON file, or its content as a mapping.
        host: the address to listen on; only loopback, unless ``unsafe_listen``.
        port: 0 to 65535; 0 lets the system choose a free one.
        unsafe_listen: True allows addresses that other machines can reach, such as ``0.0.0.0`` in a container, where
            whoever reaches it may use and change it. Every ``Host`` header is then accepted, unless ``allowed_hosts``.
        allowed_hosts: names by which other machines may ask, such as ``("simulator",)``, besides this machine's own
            loopback names; the port does not matter. Without them only the loopback names and the port are good, or
            everything with ``unsafe_listen``.
        latency: seconds by which every answer is delayed, in real time; more in ``faults``.
        settings: ``now`` (the first instant, a datetime), ``frozen`` (the clock moves only when told), ``real_time``
            (True begins now; None does so too when there is a ``state`` and neither of the two before), ``page_size``
            (rows of a page of v1.0 when nobody says how many; 50), ``connectors_need_account`` (True refuses the
            connectors and templates of v1.0 without ``X-Cyclr-Account``), ``rate_limit``
            (requests per second, or None), ``faults`` (:class:`Fault` objects or their text form), ``token_lifetime``
            and ``sign_in_lifetime`` (seconds), ``one_token_pair`` (True lets each sign-in with a password end the
            tokens of the one before, which the real service may do or not), ``create_unknown_users``, ``connectors``,
            ``log_size`` (requests kept), ``client_id``, ``client_secret``, ``username`` and ``password``.

    Raises:
        ValueError: a setting is out of range, the address is not a loopback address, or the state is not understood.
    """

    def __init__(
        self,
        accounts: int | None = None,
        seed: int = 7,
        *,
        state: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        host: str = _LOOPBACK,
        port: int = 0,
        unsafe_listen: bool = False,
        allowed_hosts: Iterable[str] = (),
        latency: float | None = None,
        **settings: Unpack[SimulatorSettings],
    ) -> None:
        if not unsafe_listen and not is_loopback(host):
            raise ValueError(
                f"the simulator listens on loopback addresses only, not on {host!r}; unsafe_listen=True allows others"
            )
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
            raise ValueError(f"port must be a whole number from 0 to 65535, not {port!r}")
        if latency:
            settings["faults"] = (Fault.latency(latency), *settings.get("faults", ()))
        given = None if state is None else read_state(state)
        self._world = SimulatorState(Settings(accounts=accounts, seed=seed, state=given, **settings))
        self._host, self._wanted_port, self._unsafe = host, port, unsafe_listen
        self._allowed = frozenset(map(_allowed, allowed_hosts))
        self._port: int | None = None
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens, such as ``http://127.0.0.1:8080``.

        Raises:
            RuntimeError: it is not running.
        """
        if self._port is None:
            raise RuntimeError("the simulator is not running; use 'async with Simulator() as sim:'")
        # An address that stands for every interface cannot be called; this machine reaches it by loopback.
        host = {"0.0.0.0": _LOOPBACK, "::": "::1"}.get(self._host, self._host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """The ``base_url`` of a session."""
        return f"{self.url}/api/partner"

    @property
    def v1_url(self) -> str:
        """Where v1.0 is."""
        return f"{self.url}/v1.0"

    @property
    def token_url(self) -> str:
        """The ``token_url`` of a session."""
        return f"{self.url}/oauth/token"

    @property
    def client_id(self) -> str:
        """Of the OAuth client; not a secret."""
        return self._world.settings.client_id

    @property
    def client_secret(self) -> str:
        """Of the OAuth client; fixed and worthless elsewhere."""
        return self._world.settings.client_secret

    @property
    def username(self) -> str:
        """The console administrator, for the password grant."""
        return self._world.settings.username

    @property
    def password(self) -> str:
        """The password of the console administrator; fixed and worthless elsewhere."""
        return self._world.settings.password

    @property
    def clock(self) -> SimulatedClock:
        """The simulated time, which can be moved."""
        return self._world.clock

    @property
    def session_clock(self) -> SessionClock:
        """The same time for a session that is made elsewhere: ``AsyncPartnerSession.from_env(clock=...)``."""
        return SessionClock(self.clock)

    @property
    def faults(self) -> FaultInjector:
        """What goes wrong."""
        return self._world.faults

    @property
    def requests(self) -> RequestLog:
        """What was asked."""
        return self._world.requests

    @property
    def catalogue(self) -> Catalogue:
        """The connectors that can be installed."""
        return self._world.catalogue

    @property
    def sign_ins(self) -> list[SignIn]:
        """The sign-in links that were followed."""
        return list(self._world.sign_ins.used)

    @property
    def details(self) -> dict[str, Any]:
        """What *Partner Details* answers, by the names of the API; may be changed."""
        return self._world.state.details

    @property
    def rate_limit(self) -> float | None:
        """Requests per second before 429 and ``Retry-After``, or None; may be set."""
        return self._world.rate.per_second

    @rate_limit.setter
    def rate_limit(self, per_second: float | None) -> None:
        self._world.rate.per_second = per_second

    @property
    def one_token_pair(self) -> bool:
        """Whether a user has one pair of tokens, so that a sign-in with a password ends the pair before; may be set."""
        return self._world.tokens.one_pair

    @one_token_pair.setter
    def one_token_pair(self, one: bool) -> None:
        self._world.tokens.one_pair = one

    @property
    def refresh_tokens_reused(self) -> int:
        """How many token requests carried a refresh token that had been used before."""
        return self._world.tokens.reused

    @property
    def account_count(self) -> int:
        """How many accounts there are."""
        return len(self._world.state)

    def account_ids(self, limit: int | None = None) -> list[str]:
        """Return the ids of the first ``limit`` accounts, or of all, in the order of the list."""
        return list(itertools.islice(self._world.state.ids(), limit))

    def api_ids(self, limit: int | None = None) -> list[str]:
        """Return the ids in v1.0 of the first ``limit`` accounts, or of all, in the order of the list."""
        return [self._world.state.api_id_of(account_id) for account_id in self.account_ids(limit)]

    def account(self, account_id: str) -> AccountRecord:
        """Return an account as it is now, with its time zone, users and connectors.

        Args:
            account_id: of either API.

        Raises:
            KeyError: there is none with that id.
        """
        record = self._world.state.find(account_id)
        if record is None:
            raise KeyError(account_id)
        return record

    def connectors(self, account_id: str) -> list[Installed]:
        """Return the connectors installed in an account; KeyError when there is none with that id."""
        return list(self.account(account_id).connectors)

    def set_usage(
        self, account_id: str, tasks: int, cycles: int = 0, *, period: date | tuple[date, date] | None = None
    ) -> None:
        """Make *Get Account Usage* answer these figures for an account.

        Args:
            account_id: the account.
            tasks: the ``TaskCount``; may be negative, as a broken server might answer.
            cycles: the ``CycleCount``.
            period: a day or moment of the period that is meant, whether it is asked for by ``fromDate`` or since the
                last bill; all others go on as they are. Or a tuple of the beginning and the end of the one period that
                is meant; the end is its ``ToDate`` or the beginning of the next. A naive datetime means UTC. None
                sets every period alike, and forgets what was set for single ones.

        Raises:
            KeyError: there is no account with that id.
            TypeError: ``period`` is no date and no two of them.
            ValueError: ``period`` ends before it begins.
        """
        record = self._world.state.touch(account_id)
        if record is None:
            raise KeyError(account_id)
        record.fix_usage(tasks, cycles, period)

    def revoke_tokens(self) -> int:
        """Revoke all access and refresh tokens; return how many access tokens there were."""
        return self._world.tokens.revoke()

    def reset(self) -> None:
        """Go back to the beginning: accounts, catalogue, tokens, clock, faults, rate limit and log."""
        self._world.reset()

    def session(self, **options: Unpack[SessionOptions]) -> AsyncPartnerSession:
        """Return a new session on this simulator; use it with ``async with``, or close it.

        The session lives in the time of the simulator: move :attr:`clock` by months, and its token is renewed, and what
        it collects is dated then.

        Args:
            **options: of :class:`~cyclr_async.AsyncPartnerSession`; ``auth`` replaces the client credentials, and
                ``clock`` the time of the simulator.
        """
        from cyclr_async import AsyncPartnerSession, ClientCredentials  # noqa: PLC0415 - it imports the whole client

        auth = options.pop("auth", None) or ClientCredentials(self.client_id, self.client_secret)
        usual: SessionOptions = {"base_url": self.base_url, "token_url": self.token_url, "clock": self.session_clock}
        if not is_loopback(urlsplit(self.url).hostname):
            usual["http_hosts"] = (self._host,)  # the caller let it listen there
        usual.update(options)
        usual["auth"] = auth
        return AsyncPartnerSession(**usual)

    async def start(self) -> None:
        """Start listening.

        Raises:
            RuntimeError: it is running already.
            OSError: the port cannot be used.
        """
        if self._runner is not None:
            raise RuntimeError("the simulator is running already")
        app = SimulatorApp(self._world, frozenset())
        runner = web.ServerRunner(web.Server(app, access_log=None), shutdown_timeout=0.2)
        self._runner = runner
        try:
            await runner.setup()
            site = web.TCPSite(runner, self._host, self._wanted_port)
            await site.start()
        except BaseException:
            self._runner = None
            await runner.cleanup()
            raise
        self._port = runner.addresses[0][1]
        app.hosts = None if self._unsafe and not self._allowed else self._accepted_hosts(self._port)

    def _accepted_hosts(self, port: int) -> frozenset[str]:
        names = {"127.0.0.1", "localhost", "[::1]", f"[{self._host}]" if ":" in self._host else self._host}
        own = frozenset(f"{name}:{port}" for name in names) | (frozenset(names) if port == 80 else frozenset())
        return own | self._allowed  # which are compared without a port: in front of a container it may be another

    async def stop(self) -> None:
        """Stop listening and break all connections. May be called again."""
        runner, self._runner, self._port = self._runner, None, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> NoReturn:
        raise TypeError("use 'async with Simulator()', or 'with Simulator().in_thread()' in code that is not async")

    def __exit__(self, *_: object) -> None:
        """Never reached; ``with`` looks for it."""

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Run in a thread with an event loop of its own, until the block ends.

        Raises:
            OSError: the port cannot be used.
        """
        started: threading.Event = threading.Event()
        failures: list[BaseException] = []
        stopping: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

        async def run() -> None:
            stop = asyncio.Event()
            try:
                await self.start()
                stopping.append((asyncio.get_running_loop(), stop))
            except (OSError, RuntimeError) as error:
                failures.append(error)
                return
            finally:
                started.set()
            await stop.wait()
            await self.stop()

        thread = threading.Thread(target=lambda: asyncio.run(run()), name="cyclr-simulator", daemon=True)
        thread.start()
        started.wait()
        try:
            if failures:
                raise failures[0]
            yield self
        finally:
            for loop, stop in stopping:
                loop.call_soon_threadsafe(stop.set)
            thread.join()


async def serve(simulator: Simulator, announce: Callable[[Simulator], None] = lambda _: None) -> None:
    """Run a simulator until the task is cancelled.

    Args:
        simulator: not yet running.
        announce: called once with the simulator when it listens.
    """
    async with simulator:
        announce(simulator)
        await asyncio.Event().wait()
