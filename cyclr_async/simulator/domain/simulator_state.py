"""All that one simulator holds: the partner, its tokens, the faults in force and the log of requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, overload

import attrs

from cyclr_async.simulator.domain.catalogue import CONNECTORS, Catalogue, Connector
from cyclr_async.simulator.domain.clock import START, SimulatedClock
from cyclr_async.simulator.domain.oauth import SignInTokens, TokenService
from cyclr_async.simulator.domain.partner_state import AccountRecord, PartnerState
from cyclr_async.simulator.faults.fault import Fault
from cyclr_async.simulator.faults.injector import FaultInjector, RateLimit
from cyclr_async.simulator.seed_state import SeedState
from cyclr_async.simulator.v1.library import Library
from cyclr_async.simulator.v1.people import People
from cyclr_async.simulator.v1.planting import account_total, plant

__all__ = ["RequestLog", "RequestRecord", "Settings", "SimulatorState"]


def _whole(least: int, most: int) -> Any:
    def check(_: object, attribute: attrs.Attribute[int], value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{attribute.name} must be a whole number from {least} to {most}, not {value!r}")

    return check


# Converters need annotations of their own, from which attrs and type checkers take those of the arguments.
def _faults(faults: Iterable[Fault | str]) -> tuple[Fault | str, ...]:
    return tuple(faults)


def _connectors(connectors: Iterable[Connector]) -> tuple[Connector, ...]:
    return tuple(connectors)


@attrs.frozen(kw_only=True)
class Settings:
    """How a simulator starts; see :class:`~cyclr_async.simulator.server.Simulator`."""

    accounts: int | None = attrs.field(default=None, validator=attrs.validators.optional(_whole(0, 1_000_000_000)))
    seed: int = attrs.field(default=7, validator=_whole(-(1 << 63), 1 << 63))
    now: datetime = START
    frozen: bool = False
    rate_limit: float | None = None
    faults: tuple[Fault | str, ...] = attrs.field(default=(), converter=_faults)
    token_lifetime: int = attrs.field(default=1_209_599, validator=_whole(1, 10_000_000_000))
    one_token_pair: bool = False
    sign_in_lifetime: float = 300.0
    create_unknown_users: bool = True
    connectors: tuple[Connector, ...] = attrs.field(default=CONNECTORS, converter=_connectors)
    state: SeedState | None = None
    real_time: bool | None = None
    page_size: int = attrs.field(default=50, validator=_whole(1, 1_000_000))
    connectors_need_account: bool = False
    log_size: int = attrs.field(default=10_000, validator=_whole(0, 10_000_000))
    client_id: str = "simulator"
    client_secret: str = attrs.field(default="simulator-secret", repr=False)
    username: str = "admin@example.com"
    password: str = attrs.field(default="simulator-password", repr=False)

    def start(self) -> datetime:
        """Return the first instant: the real one when that is wanted, or when a state file says nothing of time."""
        real = self.real_time
        if real is None:
            real = self.state is not None and self.now == START and not self.frozen
        return datetime.now(UTC) if real else self.now


@attrs.frozen(slots=True)
class RequestRecord:
    """One request that was received. Neither query nor body nor credentials are kept.

    Attributes:
        number: counts from 1.
        at: when, in simulated time.
        method: of HTTP.
        path: without the query, at most 200 characters.
        operation: what it asked for, such as ``accounts.usage``; None for anything else.
        account_id: the account it was about, or None.
        status: of the answer; None when the connection was broken without one.
        fault: the kind of fault that struck, or None.
        request_id: of the header ``X-Request-Id``, or None.
    """

    number: int
    at: datetime
    method: str
    path: str
    operation: str | None
    account_id: str | None
    status: int | None
    fault: str | None
    request_id: str | None

    def __str__(self) -> str:
        parts = [f"{self.number} {self.at:%H:%M:%S} {self.method} {self.path} {self.status or 'no answer'}"]
        parts += [f"fault {self.fault}"] if self.fault else []
        parts += [f"request {self.request_id}"] if self.request_id else []
        return ", ".join(parts)


class RequestLog:
    """The requests received, the latest ones up to a limit.

    Args:
        size: how many are kept.
    """

    def __init__(self, size: int) -> None:
        self.total: int = 0
        self._records: deque[RequestRecord] = deque(maxlen=size)

    def add(self, at: datetime, method: str, path: str, about: tuple[str | None, ...], status: int | None) -> None:
        """Record a request; ``about`` is operation, account id, fault and request id."""
        self.total += 1
        operation, account_id, fault, request_id = about
        record = RequestRecord(
            self.total, at, method, path[:200], operation, account_id and account_id[:200], status, fault, request_id
        )
        self._records.append(record)

    def clear(self) -> None:
        """Forget all requests; ``total`` goes on counting."""
        self._records.clear()

    def select(
        self, *, operation: str | None = None, account_id: str | None = None, status: int | None = None
    ) -> list[RequestRecord]:
        """Return the kept requests that match all that is given."""
        return [
            record
            for record in self._records.copy()
            if (operation is None or record.operation == operation)
            and (account_id is None or record.account_id == account_id)
            and (status is None or record.status == status)
        ]

    def count(self, *, operation: str | None = None, account_id: str | None = None, status: int | None = None) -> int:
        """Return how many of the kept requests match all that is given."""
        return len(self.select(operation=operation, account_id=account_id, status=status))

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(self._records.copy())

    @overload
    def __getitem__(self, index: int) -> RequestRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[RequestRecord]: ...
    def __getitem__(self, index: int | slice) -> RequestRecord | list[RequestRecord]:
        return self._records[index] if isinstance(index, int) else list(self._records.copy())[index]

    def __str__(self) -> str:
        return "\n".join(map(str, self))


class SimulatorState:
    """Everything behind the handlers.

    Args:
        settings: how it starts.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock: SimulatedClock = SimulatedClock(settings.start(), frozen=settings.frozen)
        self.requests: RequestLog = RequestLog(settings.log_size)
        self.faults: FaultInjector = FaultInjector(self.clock, settings.seed)
        self.rate: RateLimit = RateLimit(self.clock, settings.rate_limit)
        self.add_faults(settings.faults)
        given = settings.state
        self.catalogue: Catalogue = Catalogue(settings.connectors if given is None or given.connectors is None else ())
        self.state: PartnerState
        self.people: People
        self.library: Library
        self.tokens: TokenService
        self.sign_ins: SignInTokens
        self._begin()

    def add_faults(self, faults: Iterable[Fault | str]) -> None:
        """Put faults in force."""
        for fault in faults:
            self.faults.add(fault)

    def _begin(self) -> None:
        chosen = self.settings
        given = chosen.state
        self.catalogue.reset()
        self.state = PartnerState(account_total(chosen.accounts, given), chosen.seed, self.clock, self.catalogue)
        self.people = People()
        self.library = Library(self.catalogue, self.state.population)
        if given is not None:
            plant(self, given)
        self.tokens = TokenService(
            self.state,
            chosen.client_id,
            chosen.client_secret,
            chosen.username,
            chosen.password,
            chosen.token_lifetime,
            chosen.one_token_pair,
        )
        self.sign_ins = SignInTokens(self.state, chosen.sign_in_lifetime)

    def join(self, record: AccountRecord, username: str) -> None:
        """Give a user access to an account that was returned for changing; a user that does not exist is created."""
        self.people.meet(username)
        self.state.join(record, username)

    def reset(self) -> None:
        """Go back to the beginning: accounts, connectors, tokens, clock, faults, rate limit and log."""
        self.clock.set(self.settings.start())
        self.faults.clear()
        self.add_faults(self.settings.faults)
        self.rate.per_second = self.settings.rate_limit
        self.requests.clear()
        self._begin()
