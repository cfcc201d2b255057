"""Whether aiohttp's functions are its own. Recorders, mocks and tracers put theirs in the place of some of them."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Final

import aiohttp

__all__ = ["forget_frames", "is_intercepted", "is_own", "replaced"]

_WAY: Final[tuple[tuple[type, str], ...]] = (
    # What a request passes through on its way. vcrpy and aioresponses replace the first, tracers the others as well.
    (aiohttp.ClientSession, "_request"),
    (aiohttp.ClientSession, "request"),
    (aiohttp.TCPConnector, "connect"),
    (aiohttp.TCPConnector, "_create_connection"),
    (aiohttp.TCPConnector, "_resolve_host"),
    (aiohttp.ClientRequest, "__init__"),
    (aiohttp.ClientRequest, "send"),
    (aiohttp.ClientResponse, "start"),
    (aiohttp.ClientResponse, "read"),
)


def is_own(owner: type, name: str) -> bool:
    """Whether a method is the function that the module of its class defines.

    That also holds for what was replaced before this package was imported, and for wrappers that imitate what they
    wrap: a function made elsewhere sees other globals, and an object that only acts like a function is none.

    Args:
        owner: a class of aiohttp, or derived from one.
        name: the method; one that aiohttp does not have is nobody's.
    """
    for base in owner.__mro__:
        found = vars(base).get(name)
        if found is not None:
            module = sys.modules.get(base.__module__)
            # type() cannot be deceived, as isinstance() can.
            return module is not None and type(found) is FunctionType and found.__globals__ is vars(module)
    return True


def replaced() -> str | None:
    """Return the name of a function of aiohttp that somebody has replaced, or None."""
    for owner, name in _WAY:
        if not is_own(owner, name):
            return f"{owner.__name__}.{name}"
    return None


def is_intercepted(session: aiohttp.ClientSession) -> bool:
    """Whether this session's requests are handed to something that is not aiohttp: a recorder, a mock, a cache."""
    kind = type(session)
    # Also on the instance: a mock may replace the method of one session only.
    own = getattr(session, "__dict__", {})
    return any(
        name in own or not (getattr(kind, name, None) is getattr(aiohttp.ClientSession, name) and is_own(kind, name))
        for name in ("_request", "request")
    )


def forget_frames(error: BaseException) -> None:
    """Take the frames away from an exception and from those that led to it."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            waiting += [one.__cause__, one.__context__]
