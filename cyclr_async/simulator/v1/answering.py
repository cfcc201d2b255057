"""The answer to one request to v1.0: who asks, for which account, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cyclr_async.simulator.domain.lenient_fields import RefusedError, dump
from cyclr_async.simulator.replies import Reply, denied
from cyclr_async.simulator.v1 import account_connectors, accounts, connectors, cycles, launch, steps, templates
from cyclr_async.simulator.v1.call import Body, Call, Handler, Query, read_body
from cyclr_async.simulator.v1.operations import Operation
from cyclr_async.simulator.v1.routing import Found

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.oauth import Grant
    from cyclr_async.simulator.domain.partner_state import AccountRecord
    from cyclr_async.simulator.domain.simulator_state import SimulatorState

__all__ = ["account_asked_for", "answer_v1"]

_HANDLERS: Final[dict[str, Handler]] = {
    **accounts.HANDLERS,
    **launch.HANDLERS,
    **connectors.HANDLERS,
    **account_connectors.HANDLERS,
    **templates.HANDLERS,
    **cycles.HANDLERS,
    **steps.HANDLERS,
}


def account_asked_for(found: Found, header: str, body: bytes, content_type: str) -> str | None:
    """Return the id of the account that a request is about, for faults and the log: of header, path or body."""
    if found.operation.level != "P":
        wanted = header
    elif found.operation.path.startswith("/accounts/{account}"):
        wanted = found.parts[0]
    elif found.operation.path.startswith("/users/"):
        wanted = _account_in(body, content_type)
    else:
        return None
    return wanted.lower().encode("utf-8", "replace").decode() or None


def _account_in(body: bytes, content_type: str) -> str:
    try:
        sent = read_body(body, content_type)
    except RefusedError:
        return ""
    return Body(sent).word("AccountId") if isinstance(sent, dict) else ""


def _account(world: SimulatorState, grant: Grant, operation: Operation, header: str) -> AccountRecord | None:
    """Return the account of the header, for changing unless it is only looked at.

    Raises:
        RefusedError: 401 when it is needed and missing or unknown, or not the one that the token is for.
    """
    if operation.level == "P":
        if grant.account_id is not None:  # a token for one account opens nothing of the partner's
            raise denied()
        return None
    record = world.state.find_api(header) if header else None
    if record is not None and grant.account_id not in (None, record.id):
        raise denied()
    if record is None:
        if operation.level == "A" or world.settings.connectors_need_account:
            raise denied()
        return None
    return record if operation.method == "GET" else world.state.touch(record.id)


def answer_v1(
    world: SimulatorState, grant: Grant | None, found: Found, query: str, body: bytes, headers: tuple[str, str]
) -> Reply:
    """Answer a request.

    Args:
        world: what it is about.
        grant: of its access token, or None without a valid one.
        found: what it asks for.
        query: of its URL.
        body: as sent.
        headers: the values of ``X-Cyclr-Account`` and ``Content-Type``.

    Raises:
        RefusedError: with the status and the reason.
    """
    if grant is None:
        raise denied()
    operation = found.operation
    account = _account(world, grant, operation, headers[0])
    keys = found.keys()
    sent = {} if operation.method == "GET" else read_body(body, headers[1])
    value = _HANDLERS[operation.name](Call(world, keys, Query(query), sent, account))
    if isinstance(value, Reply):
        return value
    return Reply(operation.status, b"" if value is None else dump(value))
