"""The eight operations of the partner API and the token endpoint, on the state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import attrs

from cyclr_async.simulator.domain.catalogue import PRICE_PLANS, Connector
from cyclr_async.simulator.domain.lenient_fields import RefusedError, dump, from_date, moment, number, text
from cyclr_async.simulator.domain.oauth import OAuthRefusedError
from cyclr_async.simulator.domain.partner_state import PLAN_IDS, AccountRecord, Installed
from cyclr_async.simulator.domain.simulator_state import SimulatorState
from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["OPERATION_HANDLERS", "OperationRequest", "account_list", "exchange_token"]

_PLANS_BODY: Final = dump(PRICE_PLANS)


@attrs.frozen(slots=True)
class OperationRequest:
    """One request to an operation.

    Attributes:
        account_id: of the path, decoded; empty when the path has none.
        query: as sent, without the question mark.
        fields: of the JSON body, names in lower case.
    """

    account_id: str = ""
    query: str = ""
    fields: dict[str, Any] = attrs.Factory(dict)


Handler = Callable[[SimulatorState, OperationRequest], bytes]


def _usage(world: SimulatorState, asked: OperationRequest) -> bytes:
    billing = world.state.billing(asked.account_id)
    if billing is None:
        raise RefusedError(404)
    start = from_date(asked.query)
    try:
        return billing.usage(world.clock.now(), start)
    except (ValueError, OverflowError):  # a period that ends after the year 9999
        raise RefusedError(400, "The request is invalid.") from None


def _details(world: SimulatorState, asked: OperationRequest) -> bytes:  # noqa: ARG001 - one signature for all operations
    return dump(world.state.details)


def _price_plans(world: SimulatorState, asked: OperationRequest) -> bytes:  # noqa: ARG001 - one signature for all operations
    return _PLANS_BODY


def account_list(world: SimulatorState) -> Iterator[bytes]:
    """Return the array of all accounts in pieces of a few hundred accounts each."""
    state, now = world.state, world.clock.now()
    total, step = len(state), 250
    yield b"["
    for first in range(0, total, step):
        rows = [state.at(index).listed(now) for index in range(first, min(first + step, total))]
        yield (b"," if first else b"") + dump(rows)[1:-1]
    yield b"]"


def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return _no_zones()
    return True


def _no_zones() -> bool:
    """Whether this machine has no time zone database, so that nothing can be said about a name."""
    try:
        ZoneInfo("Europe/London")
    except LookupError:
        return True
    return False


def _checked(asked: OperationRequest) -> dict[str, Any]:
    """Return the given fields of an account by attribute, each checked, before anything is changed."""
    fields = asked.fields
    found: dict[str, Any] = {
        "name": text(fields, "name"),
        "description": text(fields, "description"),
        "audit_info": text(fields, "auditinfo"),
        "timezone": text(fields, "timezone"),
        "price_plan_id": number(fields, "priceplanid"),
        "next_bill": moment(fields, "nextbilldate"),
    }
    if found["name"] is not UNSET and not (found["name"] or "").strip():
        raise RefusedError(400, "Name is required")
    if not found["timezone"]:
        found["timezone"] = UNSET if found["timezone"] is UNSET else "Europe/London"
    elif not _known_zone(found["timezone"]):
        raise RefusedError(400, f"Timezone '{found['timezone'][:100]}' is not valid.")
    plan = found["price_plan_id"]
    if isinstance(plan, int) and plan not in PLAN_IDS:
        raise RefusedError(400, "Price plan with provided ID could not be found.")
    return {name: value for name, value in found.items() if value is not UNSET}


def _apply(world: SimulatorState, record: AccountRecord, changes: dict[str, Any]) -> bytes:
    if "next_bill" in changes:
        world.state.plan_bill(record, changes.pop("next_bill"))
    for name, value in changes.items():
        setattr(record, name, value)
    return dump({"Id": record.id})


def _create(world: SimulatorState, asked: OperationRequest) -> bytes:
    changes = _checked(asked)
    if "name" not in changes:
        raise RefusedError(400, "Name is required")
    if changes.get("next_bill", UNSET) is None:
        del changes["next_bill"]
    return _apply(world, world.state.create(changes["name"]), changes)


def _update(world: SimulatorState, asked: OperationRequest) -> bytes:
    if world.state.find(asked.account_id) is None:
        raise RefusedError(404)
    changes = _checked(asked)
    record = world.state.touch(asked.account_id)
    if record is None:
        raise RefusedError(404)
    return _apply(world, record, changes)


def _required(asked: OperationRequest, name: str) -> str:
    value = text(asked.fields, name.lower())
    if not isinstance(value, str) or not value.strip():
        raise RefusedError(400, f"{name} is required")
    return value


def _account_of_body(world: SimulatorState, asked: OperationRequest) -> AccountRecord:
    record = world.state.find(_required(asked, "AccountId").strip())
    if record is None:
        raise RefusedError(404)
    return record


def _sign_in_token(world: SimulatorState, asked: OperationRequest) -> bytes:
    record = _account_of_body(world, asked)
    username = _required(asked, "Username")
    if username not in record.users:
        if not world.settings.create_unknown_users:
            raise RefusedError(400, "User with provided Username could not be found.")
        touched = world.state.touch(record.id)
        if touched is not None:
            touched.users.add(username)
    token, expires = world.sign_ins.issue(record.id, username)
    fraction = f"{expires.microsecond:06d}7".rstrip("0")
    return dump({"ExpiresAtUtc": f"{expires:%Y-%m-%dT%H:%M:%S}.{fraction}Z", "Token": token})


def _signs_in(connector: Connector, asked: OperationRequest) -> bool:
    def given(name: str) -> bool:
        value: str | Unset | None = text(asked.fields, name)
        return bool(value)

    key, pair = given("apikey"), given("username") and given("password")
    return {"ApiKey": key, "Basic": pair, "ApiKeyOrBasic": key or pair}.get(connector.sign_in, True)


def _install(world: SimulatorState, asked: OperationRequest) -> bytes:
    record = _account_of_body(world, asked)
    name = _required(asked, "ConnectorName")
    installed_name = _required(asked, "InstalledName")
    version = text(asked.fields, "connectorversion") or None
    connector = world.catalogue.find(name, version)
    if connector is None:
        raise RefusedError(400, f"Connector '{name[:100]}' with version '{(version or '')[:100]}' could not be found.")
    if connector.sign_in == "OAuth2":
        raise RefusedError(400, f"Connector '{connector.name}' requires OAuth authentication and cannot be installed.")
    if not _signs_in(connector, asked):
        needed = {"ApiKey": "ApiKey", "Basic": "Username and Password"}.get(connector.sign_in, "ApiKey or Username")
        raise RefusedError(400, f"{needed} required by connector '{connector.name}'.")
    if any(other.name.casefold() == installed_name.casefold() for other in record.connectors):
        raise RefusedError(400, f"Account connector name '{installed_name[:200]}' is in use.")
    touched = world.state.touch(record.id)
    if touched is not None:
        touched.connectors.append(Installed(installed_name, connector.name, connector.version, connector.sign_in))
    return b""


def exchange_token(world: SimulatorState, body: bytes, content_type: str) -> tuple[int, bytes]:
    """Answer ``POST /oauth/token``: the status and the body."""
    media = content_type.partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        words = "The body must be application/x-www-form-urlencoded."
        return 400, dump({"error": "invalid_request", "error_description": words})
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        pairs = []
    form = dict(pairs)
    if not form or len(form) != len(pairs):  # nothing, too much, not text, or a parameter twice
        return 400, dump({"error": "invalid_request"})
    try:
        return 200, dump(world.tokens.exchange(form))
    except OAuthRefusedError as refused:
        return 400, dump(refused.body)


OPERATION_HANDLERS: Final[dict[str, Handler]] = {
    "accounts.create": _create,
    "accounts.update": _update,
    "accounts.usage": _usage,
    "details": _details,
    "priceplans.list": _price_plans,
    "tokens.create": _sign_in_token,
    "connectors.install": _install,
}
