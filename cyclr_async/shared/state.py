"""Where the state that processes share is kept, as a user says it."""

from __future__ import annotations

import importlib.util
import os
import re
from typing import Final, Literal

from yarl import URL

from cyclr_async.checks import shown
from cyclr_async.errors import ConfigurationError
from cyclr_async.secret import SecretUrl
from cyclr_async.wire.text import escape_terminal

__all__ = ["OnLoss", "SharedState"]

OnLoss = Literal["local", "fail"]
"""What calls do while the shared state cannot be reached: go on by themselves, or fail."""

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_REDIS_SCHEMES: Final = frozenset({"redis", "rediss", "unix"})


class SharedState:
    """What processes with the same credentials have in common: one access token, one rate, one pause after a 429.

    Made with :meth:`file` for the processes of one host or with :meth:`redis` for any number of hosts, and given to
    each session as ``shared=``. It is a description and holds nothing open: a session opens the place at its first
    call, so it can be made before ``fork()`` and be given to several sessions.

    What is stored names no credential, and the token is sealed with a key that is derived from the credentials: the
    place alone opens nothing.
    """

    __slots__ = ("kind", "on_loss", "prefix", "target")

    def __init__(self, kind: Literal["file", "redis"], target: object, *, on_loss: OnLoss, prefix: str = "") -> None:
        # The class methods are the way in: they check the target.
        if on_loss not in {"local", "fail"}:
            raise ConfigurationError(f"on_loss must be 'local' or 'fail', not {shown(on_loss)}")
        self.kind: Literal["file", "redis"] = kind
        self.target: object = target
        self.on_loss: OnLoss = on_loss
        self.prefix: str = prefix

    @classmethod
    def file(cls, path: str | os.PathLike[str], *, on_loss: OnLoss = "local") -> SharedState:
        """Share by a file, among the processes of one host; needs nothing besides Python.

        Args:
            path: of the file; in a folder that exists, it is called ``cyclr-shared.sqlite``. ``~`` is the home folder.
                It is created when it is first used, readable for its owner only. Network file systems are refused.
            on_loss: ``"local"`` lets each process go on with its fair share of the rate and the token it has while the
                file cannot be used; ``"fail"`` lets calls fail with a :class:`~cyclr_async.SharedStateError`.

        Raises:
            ConfigurationError: the path is empty or no path.
        """
        try:
            text = os.fsdecode(path)
        except TypeError:
            raise ConfigurationError(f"shared: a path is a str or a Path, not {type(path).__name__}") from None
        if not text.strip() or "\0" in text:
            raise ConfigurationError("shared: the path of the file is empty or holds a NUL character")
        # Made absolute here: a worker may change its folder before its first call.
        text = os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - links are followed when it is opened
        return cls("file", text, on_loss=on_loss)

    @classmethod
    def redis(cls, redis: object, *, on_loss: OnLoss = "local", prefix: str = "cyclr") -> SharedState:
        """Share by Redis 6 or later, or Valkey, among any number of hosts; needs the extra ``redis``.

        Args:
            redis: a URL: ``redis://[[user]:password@]host[:port][/db]``, ``rediss://`` for TLS, or ``unix://``; options
                of redis-py may follow as a query. Or a client of your own, ``redis.asyncio.Redis`` or ``RedisCluster``,
                which is never closed; its event loop must be the session's.
            on_loss: as for :meth:`file`, while Redis cannot be reached.
            prefix: begins every key, ``{prefix}:{…}``; for the ACL rule ``~cyclr:* &cyclr:*``.

        Raises:
            ConfigurationError: the URL is none of these, or the package redis is missing.
        """
        if importlib.util.find_spec("redis") is None:
            raise ConfigurationError(
                "shared: the package redis is missing: pip install 'cyclr-async[redis]', or use SharedState.file(path) "
                "for the processes of one host"
            )
        if not prefix.isascii() or not prefix.isprintable() or not prefix or set(prefix) & set("{} "):
            raise ConfigurationError("shared: prefix must be printable ASCII without blanks and braces")
        if isinstance(redis, (str, SecretUrl)):
            # Hidden at once: it may hold a password, and this frame could end up in a traceback with locals.
            redis = SecretUrl(redis)
            _check_url(redis)
        elif not callable(getattr(redis, "evalsha", None)):
            raise ConfigurationError(
                "shared: give a redis:// URL or a client of redis.asyncio, not an object of type "
                f"{type(redis).__name__}"
            )
        return cls("redis", redis, on_loss=on_loss, prefix=prefix)

    @classmethod
    def of(cls, value: object) -> SharedState:
        """Return what ``shared=`` stands for: an object of this class, a path, or a URL of Redis.

        Raises:
            ConfigurationError: it is none of these.
        """
        if isinstance(value, SharedState):
            return value
        if isinstance(value, SecretUrl):
            value = value.reveal()
        if not isinstance(value, (str, os.PathLike)):
            raise ConfigurationError(
                f"shared must be a SharedState, a path or a redis:// URL, not an object of type {type(value).__name__}"
            )
        scheme = _SCHEME.match(value) if isinstance(value, str) else None
        if scheme is None:
            return cls.file(value)
        if scheme.group(1).lower() not in _REDIS_SCHEMES:
            # A misspelt scheme would else become a file of that name, and nothing be shared.
            raise ConfigurationError(
                f"shared: unknown scheme {shown(scheme.group(1))}: use redis://, rediss:// or unix://, or a path"
            )
        return cls.redis(SecretUrl(str(value)))

    @property
    def place(self) -> str:
        """Where it is, for messages: without a password."""
        if self.kind == "file" or isinstance(self.target, SecretUrl):
            return escape_terminal(str(self.target))
        return f"a client of type {type(self.target).__name__}"

    def __repr__(self) -> str:
        return f"<SharedState {self.place}, on_loss={self.on_loss!r}>"


def _check_url(url: SecretUrl) -> None:
    try:
        parsed = URL(url.reveal())
        good = parsed.scheme in _REDIS_SCHEMES and bool(parsed.host or parsed.scheme == "unix")
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(
            "shared: that is no URL of Redis; give something like redis://localhost:6379/0, rediss:// for TLS, or "
            "unix:///run/redis.sock"
        )
