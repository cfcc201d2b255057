"""``--dry-run``: everything up to the moment of sending, and then the request is shown instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

import cyclr_async  # loads a name, and aiohttp with it, on first use: help does without
from cyclr_async.cli.options import Options
from cyclr_async.cli.output import Output
from cyclr_async.cli.settings import resolve, simulated
from cyclr_async.cli.terminal import echo
from cyclr_async.wire.strict_json import loads

if TYPE_CHECKING:
    from cyclr_async.http.request import Request
    from cyclr_async.http.resource import Sender

__all__ = ["run_dry"]

_COLUMNS: Final = ("dry_run", "operation", "method", "url", "body", "headers")
_SECRET_FIELDS: Final = frozenset({"apikey", "authvalue", "password", "token"})
_LISTS_OF_SECRETS: Final = frozenset({"properties", "connectorauthentications"})
"""Values of properties may be keys of a third party; only its connector knows which."""


class _WouldSendError(Exception):
    def __init__(self, call: Request[Any]) -> None:
        super().__init__(call.name)
        self.call = call


class _Shown:
    """Stands in for what sends requests, and stops before the first byte.

    Args:
        executor: what would have sent them.
    """

    def __init__(self, executor: Sender) -> None:
        self.clock = executor.clock
        self.limits = executor.limits

    async def send(self, call: Request[Any], timeout: float | None, strategy: object = None) -> NoReturn:  # noqa: ARG002
        """Show the request instead."""
        raise _WouldSendError(call)

    def stream(self, call: Request[Any], timeout: float | None) -> NoReturn:  # noqa: ARG002
        """Show the request instead."""
        raise _WouldSendError(call)


async def run_dry(options: Options, act: Callable[[cyclr_async.AsyncPartnerSession], Awaitable[object]]) -> None:
    """Check the arguments as the real call would, and show the request, secrets masked; nothing is sent."""

    class DryRun(cyclr_async.AsyncPartnerSession):
        """A session that stops before the first byte."""

        def _sender_over(self, executor: Sender) -> Sender:
            return _Shown(executor)

    place: dict[str, Any] = {} if simulated(options) else resolve(options).place()
    async with DryRun(cyclr_async.StaticToken("dry-run"), **place) as session:
        try:
            await act(session)
        except _WouldSendError as stop:
            call = stop.call
    body = _masked(loads(bytes(call.body))) if call.body is not None else None
    with Output(options, _COLUMNS, many=False) as output:
        output.write(
            {
                "dry_run": True,
                "operation": call.name,
                "method": call.method,
                "url": str(call.url),
                "body": body,
                "headers": dict(call.headers),  # besides the usual ones
            }
        )
    echo(options, "dry run: nothing was sent")


def _masked(value: Any, *, values: bool = False) -> Any:
    """Return a body without its secrets; with ``values`` those of ``Value`` are some."""
    if isinstance(value, list):
        return [_masked(item, values=values) for item in value]
    if not isinstance(value, dict):
        return value
    shown = {}
    for name, item in value.items():
        folded = name.lower()  # the server does not mind the case either
        secret = folded in _SECRET_FIELDS or (values and folded == "value")
        shown[name] = "***" if secret and item is not None else _masked(item, values=folded in _LISTS_OF_SECRETS)
    return shown
