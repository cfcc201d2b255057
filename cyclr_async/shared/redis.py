"""Shared state in Redis 6 or later, or Valkey: short scripts, each one round trip, in the time of the server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ConnectionError, NoScriptError, RedisError  # noqa: A004 - theirs

from cyclr_async.secret import HiddenStr, SecretUrl
from cyclr_async.shared.backend import HORIZON, MEMBER_LIFE, SOUGHT, LockBusyError, LostError, Record, Reservation

__all__ = ["RedisBackend"]

T = TypeVar("T")

_PATIENCE: Final = 2.0
"""Seconds for one command. Connecting included, that is up to six trips, each 0.2 s to another continent; and little
enough that calls which wait meanwhile still meet their deadlines."""
_LEASE: Final = 10.0
"""Seconds after which the right to fetch a token falls free when its holder has died."""
_RENEW: Final = 3.0
"""Seconds between two renewals of that right: two may fail before it is lost."""
_LOCK_STEP: Final = 0.1
"""Seconds between two attempts at a lock that another process holds."""
_KEEP: Final = 3600
"""Seconds after which what nobody uses disappears, so that credentials that were given up leave nothing behind."""
_KEEP_TOKEN: Final = 30 * 86_400
"""The same for tokens: they live 14 days, and a refresh token may serve after that."""

# Times are microseconds since the epoch, whole numbers below 2**53, so that Lua's doubles hold them exactly; they go
# out as texts, because Redis cuts numbers of Lua to integers.
_RESERVE: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, turns, slack = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'next', 'paused')
local following, paused = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
redis.call('ZADD', KEYS[2], now, ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[5]))
redis.call('EXPIRE', KEYS[2], ARGV[7])
local count = redis.call('ZCARD', KEYS[2])
if turns == 0 then
  return {string.format('%.0f', paused - now), count}
end
local span = interval * turns
if following > now + tonumber(ARGV[6]) + span then following = 0 end
local first = math.max(following, now - slack, paused)
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', first + span))
redis.call('EXPIRE', KEYS[1], ARGV[7])
return {string.format('%.0f', first - now), count}
"""
_PAUSE: Final = """
local t = redis.call('TIME')
local until_ = t[1] * 1000000 + t[2] + tonumber(ARGV[1])
if until_ > tonumber(redis.call('HGET', KEYS[1], 'paused') or 0) then
  redis.call('HSET', KEYS[1], 'paused', string.format('%.0f', until_))
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  redis.call('PUBLISH', ARGV[2], ARGV[1])
end
return 1
"""
_LOAD: Final = """
local t = redis.call('TIME')
local kept = redis.call('HMGET', KEYS[1], 'value', 'written')
if not kept[1] then return false end
return {kept[1], string.format('%.0f', t[1] * 1000000 + t[2] - tonumber(kept[2]))}
"""
# The fence: whoever was stopped for longer than its lease lasts may wake up behind another holder's back.
_PUT: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local t = redis.call('TIME')
redis.call('HSET', KEYS[2], 'value', ARGV[2], 'written', string.format('%.0f', t[1] * 1000000 + t[2]))
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
"""
# SET NX alone would not do: repeated on a new connection, it could not tell its own lock from that of another.
_ACQUIRED: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RENEWED: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASED: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


class RedisBackend:
    """A server of Redis.

    Args:
        place: its URL, or a client of the user's.
        prefix: begins every key.
    """

    def __init__(self, place: SecretUrl | Any, prefix: str) -> None:
        self.trips: int = 0
        self._place = place
        self._prefix = prefix
        self._own = isinstance(place, SecretUrl)
        self._client: Any = None if self._own else place
        self._digests = {
            script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
            for script in (_RESERVE, _PAUSE, _LOAD, _PUT, _ACQUIRED, _RENEWED, _RELEASED)
        }

    async def open(self) -> None:
        """Connect, and look whether scripts may be run: that is all of Redis that is needed.

        Raises:
            LostError: it cannot be reached, or refuses.
        """
        if self._client is None:
            try:
                self._client = redis.asyncio.Redis.from_url(
                    HiddenStr(self._place.reveal()),
                    # The older protocol, which needs no greeting: one trip less before the first question.
                    protocol=2,
                    # Bounded here and not only below, so that a connection that hangs is given up by its owner, too.
                    socket_timeout=_PATIENCE,
                    socket_connect_timeout=_PATIENCE,
                    # How often to try is decided by _command: a chain of two that both repeat takes too long.
                    retry=Retry(NoBackoff(), 0),
                )
            except (ValueError, TypeError, RedisError) as error:
                raise LostError(f"redis-py does not accept the URL ({type(error).__name__})") from None
        await self._script(_RENEWED, [self._key("probe", "probe")], ["", 1])

    async def reserve(self, name: str, *, member: str, interval: float, turns: int, slack: float) -> Reservation:
        """Reserve turns; see :class:`~cyclr_async.shared.backend.Backend`."""
        keys = [self._key(name, "rate"), self._key(name, "members")]
        # With its decimals: at 3,000 a second a third of a microsecond is a third of a turn a second.
        between = f"{interval * 1_000_000:.6f}"
        values = [between, turns, _micros(slack), member, _micros(MEMBER_LIFE), _micros(HORIZON), _KEEP]
        wait, processes = await self._script(_RESERVE, keys, values)
        return Reservation(float(wait) / 1_000_000, turns, int(processes))

    async def pause(self, name: str, seconds: float) -> None:
        """Let no turn be before so many seconds from now, and tell everybody at once."""
        await self._script(_PAUSE, [self._key(name, "rate")], [_micros(seconds), self._key(name, "pause"), _KEEP])

    async def watch(self, name: str, heard: Callable[[float], None]) -> None:
        """Listen to what is published when somebody sets a pause."""
        while True:
            # Without a listener a pause is still kept to: every reservation tells of it.
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._listen(name, heard)
            await asyncio.sleep(1.0)

    async def _listen(self, name: str, heard: Callable[[float], None]) -> None:
        pubsub = getattr(self._client, "pubsub", None)
        if pubsub is None:
            return  # a client of a cluster may have none
        async with pubsub() as channel:
            await channel.subscribe(self._key(name, "pause"))
            while True:
                # Without a limit of its own it would fall under the socket's, and end after a second of silence.
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=None)
                if message is not None:
                    heard(int(message["data"]) / 1_000_000)

    async def load(self, name: str) -> Record | None:
        """Return what is stored under a name."""
        found = await self._script(_LOAD, [self._key(name, "token")], [])
        return None if not found else Record(_bytes(found[0]), max(float(found[1]) / 1_000_000, 0.0))

    @contextlib.asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[_RedisTenure]:
        """Hold the lock of a name: a key that disappears ten seconds after its holder last renewed it."""
        lock, mine = self._key(name, "lock"), secrets.token_hex(16)
        loop = asyncio.get_running_loop()
        until = loop.time() + SOUGHT
        while not await self._script(_ACQUIRED, [lock], [mine, round(_LEASE * 1000)]):
            if loop.time() > until:
                raise LockBusyError
            await asyncio.sleep(_LOCK_STEP * random.uniform(0.5, 1.0))  # noqa: S311 - so that they do not ask as one
        keeper = loop.create_task(self._keep(lock, mine), name="cyclr-async-shared-lock")
        try:
            yield _RedisTenure(self, name, mine, await self.load(name))
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])
            with contextlib.suppress(LostError):  # it falls free by itself
                await self._script(_RELEASED, [lock], [mine])

    async def _keep(self, lock: str, mine: str) -> None:
        while True:
            await asyncio.sleep(_RENEW)
            with contextlib.suppress(LostError):  # the fence notices when it came too late
                await self._script(_RENEWED, [lock], [mine, round(_LEASE * 1000)])

    async def put(self, name: str, mine: str, value: bytes) -> bool:
        """Replace the record of a name if the lock has still this value."""
        keys = [self._key(name, "lock"), self._key(name, "token")]
        return bool(await self._script(_PUT, keys, [mine, value, _KEEP_TOKEN]))

    async def close(self) -> None:
        """Disconnect; a client of the user's stays as it is."""
        client, self._client = self._client, None if self._own else self._client
        if self._own and client is not None:
            with contextlib.suppress(RedisError, OSError):
                await client.aclose()

    def _key(self, name: str, kind: str) -> str:
        # In braces stands what a cluster places a key by: all keys of a script have to be in one place.
        return f"{self._prefix}:{{{name}}}:{kind}"

    async def _script(self, script: str, keys: list[str], values: list[Any]) -> Any:
        if self._client is None:
            await self.open()

        async def run() -> Any:
            try:
                return await self._client.evalsha(self._digests[script], len(keys), *keys, *values)
            except NoScriptError:  # the first time, and after a restart
                return await self._client.eval(script, len(keys), *keys, *values)

        return await self._command(run)

    async def _command(self, command: Callable[[], Awaitable[T]]) -> T:
        self.trips += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                try:
                    return await command()
                except AuthenticationError:
                    raise
                except (ConnectionError, OSError):
                    # A server that was restarted has closed the idle connections: a new one tells whether it is there.
                    return await command()
        except TimeoutError:
            reason = f"it did not answer within {_PATIENCE:g} s"
        except (RedisError, OSError) as error:
            reason = _reason(error)
        raise LostError(reason)


def _reason(error: Exception) -> str:
    """Return what redis-py says, in short, and never what was sent."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _bytes(value: bytes | str) -> bytes:
    # A client of the user's may decode what it reads.
    return value.encode("ascii") if isinstance(value, str) else value


class _RedisTenure:
    """The lock of a name while it is held."""

    def __init__(self, backend: RedisBackend, name: str, mine: str, record: Record | None) -> None:
        self._backend = backend
        self._name = name
        self._mine = mine
        self.record: Record | None = record

    async def put(self, value: bytes) -> bool:
        """Replace the record, unless the lock has gone to another process."""
        return await self._backend.put(self._name, self._mine, value)
