"""A session of the caller's: what must be as it is for calls to work, and what of it is kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

import aiohttp

from cyclr_async.errors import ConfigurationError, WrongEventLoopError
from cyclr_async.http.engine.connector import SecondSend, current_attempt

__all__ = ["Middleware", "check_loop", "check_session", "middlewares_for"]

_logger: Final = logging.getLogger("cyclr_async.http")

Handler: TypeAlias = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
Middleware: TypeAlias = Callable[[aiohttp.ClientRequest, Handler], Awaitable[aiohttp.ClientResponse]]


def check_session(session: aiohttp.ClientSession) -> None:
    """Refuse what cannot work, before anything is sent.

    Raises:
        ConfigurationError: says which setting, and what to do.
    """
    given: object = session
    if not isinstance(given, aiohttp.ClientSession):
        what = given.__name__ if isinstance(given, type) else type(given).__name__
        raise ConfigurationError(f"client_session must be an aiohttp.ClientSession, not {what}")
    # aiohttp would say so at the first call only, and in other words.
    if session.auth is not None:
        raise ConfigurationError(
            "client_session has auth= of its own, which aiohttp does not send together with an access token: make it "
            "without"
        )
    if session.auto_decompress is False:
        raise ConfigurationError(
            "client_session was made with auto_decompress=False, so compressed answers could not be read: "
            "leave that setting out"
        )
    # Not public in aiohttp. Without room for a byte, its parser waits for ever.
    if getattr(session, "_read_bufsize", 1) < 1:
        raise ConfigurationError("client_session was made with a read_bufsize below 1, so nothing could be read")


def check_loop(session: aiohttp.ClientSession) -> None:
    """Refuse a session that was made in another event loop than the one that runs.

    Raises:
        WrongEventLoopError: it was.
    """
    # aiohttp has no public name for it that is not deprecated.
    loop = getattr(session, "_loop", None)
    if isinstance(loop, asyncio.AbstractEventLoop) and loop is not asyncio.get_running_loop():
        raise WrongEventLoopError("client_session belongs to another event loop: make it in the loop that uses it")


def middlewares_for(session: aiohttp.ClientSession) -> tuple[Middleware, ...] | None:
    """Return the middlewares of a request: the session's own between the two halves of the guard.

    Middlewares given with a request replace the session's, so they have to be named again, and aiohttp has no public
    name for them. Where they cannot be seen, None is returned: then the session keeps its own, and the guard is left
    out.
    """
    theirs: Any = getattr(session, "_middlewares", None)
    if not isinstance(theirs, Sequence):
        _logger.warning(
            "the middlewares of an aiohttp %s session cannot be seen: aiohttp may send a PUT or a GET again by itself",
            aiohttp.__version__,
        )
        return None
    return (_refuse_resend, *theirs, _refuse_second_send)


async def _refuse_resend(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Stop aiohttp when it begins anew by itself, before the session's own middlewares see the request again."""
    attempt = current_attempt.get()
    if attempt is not None and attempt.connected:
        raise SecondSend
    return await handler(request)


async def _refuse_second_send(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Stop a middleware of the session that sends the request again."""
    attempt = current_attempt.get()
    if attempt is not None:
        if attempt.connected:
            raise SecondSend
        # The pool does not say when it hands over a connection, so from here on anything may have been sent.
        attempt.sending()
    return await handler(request)
