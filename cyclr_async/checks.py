"""Checks of arguments, and how a refused value is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from yarl import URL

from cyclr_async.errors import ConfigurationError, InvalidArgumentError
from cyclr_async.secret import SecretUrl

__all__ = ["LONGEST", "callable_or_none", "check_timeout", "is_seconds", "kind", "proxy_url", "several", "shown"]

T = TypeVar("T")

LONGEST: Final = 1e9
"""The longest time that can be waited for, in seconds: 31 years. The clocks of event loops overflow far beyond it."""
_SHOWN: Final = 60
"""Characters of a refused value that a message shows."""


def shown(value: object, most: int = _SHOWN) -> str:
    """Return a refused value for a message: short, printable, and whatever it is."""
    try:
        text = ascii(value)
    except Exception:  # noqa: BLE001 - a repr of somebody else's, or an int of more digits than Python writes
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}…"


def is_seconds(value: object, *, zero: bool = False) -> bool:
    """Tell whether a value is a number of seconds that can be waited for."""
    # Compared, not converted: an int may be too large for a float, and nan compares with nothing.
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return (value >= 0 if zero else value > 0) and value <= LONGEST


def kind(value: object, cls: type[T], name: str) -> T:
    """Return a value of this class.

    Raises:
        ConfigurationError: it is of another.
    """
    if not isinstance(value, cls):
        raise ConfigurationError(f"{name} must be of type {cls.__name__}, not {type(value).__name__}")
    return value


def several(values: Sequence[T], name: str) -> tuple[T, ...]:
    """Return the values of a sequence.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(values, Sequence):
        raise ConfigurationError(f"{name} must be a sequence, not {type(values).__name__}")
    return tuple(values)


def callable_or_none(value: Callable[..., object] | None, name: str) -> None:
    """Refuse what cannot be called.

    Raises:
        ConfigurationError: neither a function nor None.
    """
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} must be a function, not {type(value).__name__}")


def proxy_url(value: object) -> SecretUrl:
    """Return the URL of a proxy.

    Raises:
        ConfigurationError: it is none; the message does not show it, because it may hold a password.
    """
    if not isinstance(value, (str, URL, SecretUrl)):
        raise ConfigurationError(f"proxy must be a URL as a str, not {type(value).__name__}")
    secret = SecretUrl(value.reveal() if isinstance(value, SecretUrl) else str(value))
    value = secret  # this frame could end up in a traceback with locals
    problem = _proxy_problem(secret)
    if problem:
        raise ConfigurationError(f"proxy cannot be used: {problem}; give something like http://proxy.example.com:3128")
    return secret


def _proxy_problem(secret: SecretUrl) -> str:
    text = secret.reveal()
    if not text.isprintable() or " " in text:
        return "it holds white space or a control character"
    try:
        url = URL(text)
        port, host = url.port, url.host
    except ValueError:
        return "it is not a URL, or its port is not a number from 1 to 65535"
    if url.scheme not in {"http", "https"}:
        return "it must start with http:// (or https:// for a proxy that is itself spoken to over TLS)"
    if not host:
        return "it names no host"
    if not port:
        return "its port must be from 1 to 65535"
    if url.query_string or url.fragment or url.path not in {"", "/"}:
        return "it must have no path, no query and no fragment"
    return _credentials_problem(url.user, url.password)


def _credentials_problem(user: str | None, password: str | None) -> str:
    if user is not None and ":" in user:
        return "its user name holds a colon, which cannot be sent"
    try:
        f"{user or ''}{password or ''}".encode("latin-1")
    except UnicodeEncodeError:
        return "its user name or password holds a character beyond Latin-1, which cannot be sent"
    return ""


def check_timeout(timeout: object) -> float | None:
    """Check the wall-clock budget of a call, in seconds; None stands for the session's default."""
    if timeout is None:
        return None
    if is_seconds(timeout):
        return float(timeout)  # type: ignore[arg-type]
    raise InvalidArgumentError(
        f"timeout must be a finite number of seconds greater than 0, at most {LONGEST:g}; got {shown(timeout)}"
    )
