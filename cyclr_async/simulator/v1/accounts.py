"""Accounts, their users and their usage."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from cyclr_async.simulator.domain.lenient_fields import RefusedError, dump, moment
from cyclr_async.simulator.partner.operations import known_zone
from cyclr_async.simulator.replies import Reply
from cyclr_async.simulator.v1.call import Body, Call, Handler, paged
from cyclr_async.simulator.v1.dates import moment_text
from cyclr_async.wire.unset import UNSET

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.partner_state import AccountRecord
    from cyclr_async.simulator.domain.simulator_state import SimulatorState

__all__ = ["HANDLERS", "account_of", "account_row", "change_account", "checked", "create_account"]

_LONGEST_RETENTION: Final = 744
"""Hours: a month of 31 days. More is stored as that, without a word."""


def account_row(record: AccountRecord, now: datetime) -> dict[str, Any]:
    """Return the ``Account`` of v1.0."""
    return {
        "CreatedDate": moment_text(record.schedule.created),
        "Id": record.api_id,
        "Name": record.name,
        "Description": record.description,
        "AuditInfo": record.audit_info,
        "TaskAuditInfo": record.task_audit_info,
        "Timezone": record.timezone,
        "NextBillDateUtc": moment_text(record.schedule.at(now)[1]),
        "StepDataSuccessRetentionHours": record.success_retention,
        "StepDataErroredRetentionHours": record.errored_retention,
        "TransactionErrorWebhookEnabled": record.webhook_enabled,
        "TransactionErrorWebhookUrl": record.webhook_url,
        "TransactionErrorWebhookIncludeWarnings": record.webhook_warnings,
    }


def account_of(call: Call) -> AccountRecord:
    """Return the account of the path for reading; 404 when there is none."""
    record = call.world.state.find_api(call.keys["account"])
    if record is None:
        raise RefusedError(404)
    return record


def _touched(call: Call) -> AccountRecord:
    """Return the account of the path for changing; 404 when there is none."""
    record = call.world.state.touch(account_of(call).id)
    assert record is not None  # it was found a moment ago
    return record


def _retention(body: Body, name: str) -> Any:
    hours = body.number(name)
    if isinstance(hours, int) and hours < 0:
        raise RefusedError(400, f"{name} ({hours}): must be non negative")
    return min(hours, _LONGEST_RETENTION) if isinstance(hours, int) else hours


def _webhook_url(body: Body, *, enabled: bool) -> Any:
    """Return the address of a body. The rule looks at this body only: an address that is stored does not help."""
    url = body.text("TransactionErrorWebhookUrl")
    if not url:
        if enabled:
            words = "Transaction Error Webhook enabled: Transaction Error Webhook URL must be defined"
            raise RefusedError(400, words)
        return url
    whole = url if "://" in url else f"https://{url}"
    try:
        host = urlsplit(whole).hostname
    except ValueError:
        host = None
    if not host or any(letter.isspace() for letter in host):
        raise RefusedError(400, f"{whole} is not a valid URL")
    return whole


def checked(body: Body) -> dict[str, Any]:
    """Return the given fields of an account by attribute, each checked, before anything is changed."""
    found: dict[str, Any] = {
        "name": body.text("Name"),
        "description": body.text("Description"),
        "audit_info": body.text("AuditInfo"),
        "task_audit_info": body.text("TaskAuditInfo"),
        "timezone": body.text("Timezone"),
        "next_bill": moment({"at": body.value("NextBillDateUtc")}, "at"),
    }
    if found["name"] is not UNSET and not (found["name"] or "").strip():
        raise RefusedError(400, "Name is required")
    if not found["timezone"]:
        found["timezone"] = UNSET if found["timezone"] is UNSET else "Europe/London"
    elif not known_zone(found["timezone"]):
        raise RefusedError(400, f"Timezone '{found['timezone'][:100]}' is not valid.")
    if found["next_bill"] is None:  # an account of v1.0 always has a bill date
        found["next_bill"] = UNSET
    found["success_retention"] = _retention(body, "StepDataSuccessRetentionHours")
    found["errored_retention"] = _retention(body, "StepDataErroredRetentionHours")
    enabled = body.flag("TransactionErrorWebhookEnabled")
    found["webhook_enabled"] = enabled
    found["webhook_url"] = _webhook_url(body, enabled=enabled is True)
    found["webhook_warnings"] = body.flag("TransactionErrorWebhookIncludeWarnings")
    return {name: value for name, value in found.items() if value is not UNSET}


def change_account(world: SimulatorState, record: AccountRecord, changes: dict[str, Any]) -> None:
    """Apply what :func:`checked` returned to an account."""
    if "next_bill" in changes:
        world.state.plan_bill(record, changes.pop("next_bill"))
    for name, value in changes.items():
        setattr(record, name, value)


def create_account(
    world: SimulatorState, name: str, api_id: str | None, parent: AccountRecord | None = None
) -> AccountRecord:
    """Create an account.

    Raises:
        RefusedError: 400 when there is one with that id.
    """
    if api_id is not None and world.state.find(api_id) is not None:
        raise RefusedError(400, "ID already in use")
    return world.state.create(name, api_id=api_id, parent=parent)


def _list(call: Call) -> Reply:
    state, now = call.world.state, call.world.clock.now()
    return paged(call, len(state.parents), lambda place: account_row(state.at(state.parents.at(place)), now))


def _create(call: Call) -> object:
    world, body = call.world, call.body
    body.required("Name")
    changes = checked(body)
    parent = None
    if body.word("ParentAccountId"):
        parent = world.state.find_api(body.word("ParentAccountId"))
        if parent is None:
            raise RefusedError(400, "Parent account with provided ID could not be found.")
        parent = world.state.touch(parent.id)
    record = create_account(world, changes["name"], body.word("Id") or None, parent)
    change_account(world, record, changes)
    return account_row(record, world.clock.now())


def _get(call: Call) -> object:
    return account_row(account_of(call), call.world.clock.now())


def _update(call: Call) -> object:
    account_of(call)
    changes = checked(call.body)
    record = _touched(call)
    change_account(call.world, record, changes)
    return account_row(record, call.world.clock.now())


def _delete(call: Call) -> None:
    call.world.state.remove(account_of(call))


def _subaccounts(call: Call) -> Reply:
    children, now = call.world.state.children(account_of(call)), call.world.clock.now()
    return paged(call, len(children), lambda place: account_row(children[place], now))


def _usage(call: Call) -> Reply:
    state, now = call.world.state, call.world.clock.now()
    ids = state.both_ids(call.keys["account"])
    billing = None if ids is None else state.billing(ids[0])
    if billing is None or ids is None:
        raise RefusedError(404)
    try:
        tasks, start = billing.tasks(now)
    except (ValueError, OverflowError):  # a period that ends after the year 9999
        raise RefusedError(400, "The request is invalid.") from None
    body = {"Id": ids[1], "TasksUsed": tasks, "StartTime": moment_text(start), "EndTime": moment_text(max(now, start))}
    return Reply(200, dump(body))


def _users(call: Call) -> object:
    return sorted(account_of(call).users, key=str.casefold)


def _add_user(call: Call) -> None:
    account_of(call)
    name = call.body.required("UserName").strip()
    call.world.join(_touched(call), name)
    call.world.people.set_password(name, call.body.text("Password") or None)


def _remove_user(call: Call) -> None:
    record = account_of(call)
    wanted = call.body.required("UserName").strip().casefold()
    if wanted not in {user.casefold() for user in record.users}:
        raise RefusedError(404)
    record = _touched(call)
    record.users = {user for user in record.users if user.casefold() != wanted}


def _set_password(call: Call) -> None:
    name = call.body.required("UserName").strip()
    if not call.world.people.knows(name):
        raise RefusedError(404)
    call.world.people.set_password(name, call.body.text("Password") or None)


HANDLERS: Final[dict[str, Handler]] = {
    "v1.accounts.list": _list,
    "v1.accounts.create": _create,
    "v1.accounts.get": _get,
    "v1.accounts.update": _update,
    "v1.accounts.delete": _delete,
    "v1.accounts.subaccounts": _subaccounts,
    "v1.accounts.usage": _usage,
    "v1.users.list": _users,
    "v1.users.add": _add_user,
    "v1.users.remove": _remove_user,
    "v1.users.password": _set_password,
}
