"""The state a simulator begins with, read from JSON: every member known by name, every mistake named with its place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import attrs

from cyclr_async.simulator.v1.call import GUID, whole
from cyclr_async.simulator.v1.dates import query_moment

__all__ = ["SeedState", "read_state"]

Reader = Callable[[object, str], Any]
"""Returns the value that is meant; raises :class:`ValueError` with the place when there is none."""


def _wrong(where: str, expected: str) -> ValueError:
    return ValueError(f"{where} must be {expected}")


def _text(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise _wrong(where, "a text")
    return str(value)


def _name(value: object, where: str) -> str:
    found = _text(value, where).strip()
    if not found:
        raise _wrong(where, "a text that is not empty")
    return found


def _maybe(value: object, where: str) -> str | None:
    return None if value is None else _text(value, where)


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, "true or false")
    return value


def _number(value: object, where: str) -> int:
    found = whole(value)
    if found is None or not 0 <= found < 1 << 31:
        raise _wrong(where, "a whole number from 0 to 2147483647")
    return found


def _guid(value: object, where: str) -> str:
    if not isinstance(value, str) or not GUID.fullmatch(value.strip()):
        raise _wrong(where, "a GUID such as 54bcef4d-1313-42c8-837a-22c2b11281a0")
    return value.strip().lower()


def _date(value: object, where: str) -> datetime:
    try:
        return query_moment(_text(value, where))
    except (ValueError, OverflowError):
        raise _wrong(where, "a date such as 2026-11-24T09:00:00Z") from None


def _anything(value: object, where: str) -> object:  # noqa: ARG001 - one signature for all readers
    return value


def _list(read: Reader) -> Reader:
    def reader(value: object, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong(where, "an array")
        return [read(item, f"{where}[{number}]") for number, item in enumerate(value)]

    return reader


def _pairs(read: Reader) -> Reader:
    """Read an array of names with values; one object of names and values means the same."""

    def reader(value: object, where: str) -> list[Any]:
        if isinstance(value, dict):
            value = [{"name": name, "value": item} for name, item in value.items()]
        return _list(read)(value, where)  # type: ignore[no-any-return]

    return reader


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _shape(
    members: Mapping[str, Reader],
    *,
    short: str = "",
    needed: tuple[str, ...] = (),
    same: Mapping[str, str] | None = None,
) -> Reader:
    """Read an object.

    Args:
        members: by name. In the file case and underscores do not count, so that the names of the API are known too.
        short: the member that a text or number alone stands for; empty when the object cannot be left out.
        needed: members that must be there.
        same: other names of members.
    """
    known = {_plain(name): name for name in members} | {_plain(name): to for name, to in (same or {}).items()}

    def reader(value: object, where: str) -> dict[str, Any]:
        if short and not isinstance(value, (dict, list)):
            value = {short: value}
        if not isinstance(value, dict):
            raise _wrong(where, f"an object with {', '.join(members)}")
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = known.get(_plain(key))
            if name is None:
                place = f"{where}: " if where else ""
                raise ValueError(f"{place}unknown key {key!r}; known are {', '.join(members)}")
            found[name] = members[name](item, f"{where}.{name}" if where else name)
        missing = [name for name in needed if name not in found]
        if missing:
            raise ValueError(f"{where or 'the state'}: {' and '.join(missing)} must be given")
        return found

    return reader


_CHOICES: Final = _pairs(_shape({"name": _text, "value": _text}, short="name"))
_USER: Final = _shape({"name": _name, "password": _text}, short="name", needed=("name",), same={"username": "name"})
_MARKETPLACE: Final = _shape({"id": _number, "name": _text}, short="id", needed=("id",))
_TRIGGER: Final = _shape(
    {"id": _number, "name": _text, "method": _number, "answers": _CHOICES},
    short="name",
    same={"trigger_id": "id", "method_id": "method", "answer": "answers"},
)
_ACCOUNT_MEMBERS: dict[str, Reader] = {
    "id": _name,
    "name": _name,
    "description": _maybe,
    "users": _list(_USER),
    "marketplaces": _list(_MARKETPLACE),
}
_SUBACCOUNT: Final = _shape(_ACCOUNT_MEMBERS, short="id", needed=("id",))
_ACCOUNT: Final = _shape({**_ACCOUNT_MEMBERS, "subaccounts": _list(_SUBACCOUNT)}, short="id", needed=("id",))
_PARAMETER_MEMBERS: Final[dict[str, Reader]] = {
    "id": _number,
    "name": _name,
    "target_name": _name,
    "target_type": _name,
    "optional": _flag,
    "sensitive": _flag,
    "data_type": _name,
    "description": _maybe,
    "values": _list(_text),
}
_PARAMETER_WORDS: Final = {"is_optional": "optional", "is_sensitive": "sensitive"}
_PARAMETER: Final = _shape(_PARAMETER_MEMBERS, short="name", same=_PARAMETER_WORDS)
_CONNECTOR_PROPERTY: Final = _shape(
    {**_PARAMETER_MEMBERS, "account_level": _flag},
    short="name",
    needed=("name",),
    same={**_PARAMETER_WORDS, "is_account_connector_property": "account_level", "account": "account_level"},
)
_FIELD_MEMBERS: Final[dict[str, Reader]] = {
    "id": _number,
    "name": _name,
    "location": _name,
    "optional": _flag,
    "data_type": _name,
    "description": _maybe,
}
_FIELD: Final = _shape(_FIELD_MEMBERS, short="name", needed=("name",), same={"is_optional": "optional"})
_METHOD: Final = _shape(
    {
        "id": _number,
        "unique_identifier": _guid,
        "name": _name,
        "description": _text,
        "category": _name,
        "method_type": _name,
        "end_point": _name,
        "parameters": _list(_PARAMETER),
        "request_fields": _list(_FIELD),
        "response_fields": _list(_FIELD),
        "answer": _anything,
    },
    short="name",
    needed=("name",),
    same={
        "method_unique_identifier": "unique_identifier",
        "unique_id": "unique_identifier",
        "type": "method_type",
        "canned_answer": "answer",
        "answers": "answer",
    },
)
_CONNECTOR: Final = _shape(
    {
        "id": _number,
        "name": _name,
        "version": _maybe,
        "status": _name,
        "description": _maybe,
        "categories": _list(_name),
        "auth_type": _name,
        "properties": _list(_CONNECTOR_PROPERTY),
        "methods": _list(_METHOD),
        "triggers": _list(_TRIGGER),
        "icon": _maybe,
    },
    short="name",
    needed=("name",),
    same={"parameters": "properties", "auth": "auth_type"},
)


def _reference(value: object, where: str) -> dict[str, Any]:
    """Read what means a connector: its name, ``name/version``, its id, or an object."""
    if isinstance(value, str) and not value.strip().isdecimal():
        name, _, version = value.strip().partition("/")
        value = {"name": name, "version": version or None}
    found = _USED(value, where)
    if not set(found) & {"id", "name", "account_connector"}:
        raise ValueError(f"{where}: name or id must be given")
    return found  # type: ignore[no-any-return]


_USED: Final = _shape(
    {"id": _number, "name": _name, "version": _maybe, "account_connector": _anything, "steps": _number},
    short="id",
    same={"step_count": "steps", "account_connector_id": "account_connector"},
)
_PROPERTY: Final = _shape({"id": _number, "name": _name, "value": _maybe}, short="name", needed=("name",))
_CUSTOM_FIELD: Final = _shape(
    {
        "id": _number,
        "connector_field": _text,
        "system_field": _maybe,
        "display_name": _text,
        "description": _maybe,
        "data_type": _name,
        "method_unique_identifier": _guid,
        "data_type_format": _maybe,
        "entity_identifier": _maybe,
        "for_request_format": _flag,
    },
    short="connector_field",
    same={"name": "display_name"},
)
_ACCOUNT_CONNECTOR: Final = _shape(
    {
        "account": _name,
        "id": _number,
        "name": _name,
        "description": _maybe,
        "connector": _reference,
        "version": _maybe,
        "authenticated": _flag,
        "auth_value": _maybe,
        "properties": _pairs(_PROPERTY),
        "fields": _list(_CUSTOM_FIELD),
        "triggers": _list(_TRIGGER),
    },
    needed=("account", "connector"),
    same={"custom_fields": "fields"},
)
_TEMPLATE: Final = _shape(
    {"id": _guid, "name": _name, "description": _maybe, "tags": _list(_text), "connectors": _list(_reference)},
    needed=("name",),
)
_MAPPING_MEMBERS: Final[dict[str, Reader]] = {"mapping_type": _maybe, "value": _maybe, "launch_visible": _flag}
_STEP_FIELD: Final = _shape(
    {**_FIELD_MEMBERS, **_MAPPING_MEMBERS},
    short="name",
    needed=("name",),
    same={"is_optional": "optional", "is_launch_visible": "launch_visible"},
)
_STEP_PARAMETER: Final = _shape(
    {**_PARAMETER_MEMBERS, **_MAPPING_MEMBERS, "trigger": _number, "answers": _CHOICES, "triggers": _list(_TRIGGER)},
    short="name",
    same={
        **_PARAMETER_WORDS,
        "is_launch_visible": "launch_visible",
        "trigger_id": "trigger",
        "lookup": "answers",
        "lookup_answers": "answers",
    },
)
_STEP_MEMBERS: Final[dict[str, Reader]] = {
    "id": _guid,
    "name": _name,
    "description": _maybe,
    "action_type": _name,
    "connector": _reference,
    "account_connector": _anything,
    "method": _anything,
    "left": _number,
    "top": _number,
    "fields": _list(_STEP_FIELD),
    "parameters": _list(_STEP_PARAMETER),
    "fields_for_mapping": _list(_FIELD),
}
_STEP_WORDS: Final = {
    "account_connector_id": "account_connector",
    "display_position_left": "left",
    "display_position_top": "top",
    "field_mappings": "fields",
}
_CYCLE_STEP: Final = _shape(_STEP_MEMBERS, short="id", same=_STEP_WORDS)
_STEP: Final = _shape({**_STEP_MEMBERS, "account": _name, "cycle": _guid}, short="id", needed=("id",), same=_STEP_WORDS)
_EDGE: Final = _shape(
    {"id": _guid, "head": _guid, "tail": _guid, "type": _name},
    short="id",
    same={"head_step_id": "head", "tail_step_id": "tail", "edge_type": "type"},
)
_CYCLE: Final = _shape(
    {
        "account": _name,
        "id": _guid,
        "name": _name,
        "description": _maybe,
        "status": _name,
        "connectors": _list(_reference),
        "tags": _list(_text),
        "steps": _list(_CYCLE_STEP),
        "edges": _list(_EDGE),
    },
    needed=("account",),
)
_RECORD_WORDS: Final = {"cycle_id": "cycle", "date": "at", "time": "at", "created": "at", "created_on_utc": "at"}
_INCIDENT: Final = _shape(
    {
        "account": _name,
        "cycle": _guid,
        "level": _name,
        "short_message": _text,
        "full_message": _text,
        "step": _guid,
        "step_name": _text,
        "transaction": _guid,
        "at": _date,
    },
    same={
        **_RECORD_WORDS,
        "incident_level": "level",
        "message": "short_message",
        "step_id": "step",
        "transaction_id": "transaction",
    },
)
_TRANSACTION: Final = _shape(
    {
        "account": _name,
        "cycle": _guid,
        "id": _guid,
        "status": _name,
        "split_type": _name,
        "at": _date,
        "items": _list(_anything),
    },
    same=_RECORD_WORDS,
)
_PARTNER: Final = _shape({"inline_oauth": _flag, "domain": _name}, same={"service_domain": "domain"})
_STATE: Final = _shape(
    {
        "accounts": _list(_ACCOUNT),
        "accounts_at_least": _number,
        "connectors": _list(_CONNECTOR),
        "connectors_at_least": _number,
        "account_connectors": _list(_ACCOUNT_CONNECTOR),
        "account_connectors_at_least": _number,
        "templates": _list(_TEMPLATE),
        "templates_at_least": _number,
        "cycles": _list(_CYCLE),
        "cycles_at_least": _number,
        "steps": _list(_STEP),
        "incidents": _list(_INCIDENT),
        "transactions": _list(_TRANSACTION),
        "users": _list(_USER),
        "partner": _PARTNER,
    }
)


@attrs.frozen
class SeedState:
    """What a simulator begins with. The members are those of the file; None for those it leaves out."""

    accounts: list[dict[str, Any]] | None = None
    accounts_at_least: int | None = None
    connectors: list[dict[str, Any]] | None = None
    connectors_at_least: int | None = None
    account_connectors: list[dict[str, Any]] = attrs.field(factory=list)
    account_connectors_at_least: int = 0
    templates: list[dict[str, Any]] | None = None
    templates_at_least: int | None = None
    cycles: list[dict[str, Any]] = attrs.field(factory=list)
    cycles_at_least: int = 0
    steps: list[dict[str, Any]] = attrs.field(factory=list)
    incidents: list[dict[str, Any]] = attrs.field(factory=list)
    transactions: list[dict[str, Any]] = attrs.field(factory=list)
    users: list[dict[str, Any]] = attrs.field(factory=list)
    partner: dict[str, Any] = attrs.field(factory=dict)

    def every_account(self) -> dict[str, dict[str, Any]]:
        """Return all accounts of the file by their ids in lower case: listed, under others, or only mentioned."""
        found: dict[str, dict[str, Any]] = {}
        for account in self.accounts or ():
            found.setdefault(account["id"].lower(), {}).update(account)
        for account in self.accounts or ():
            for child in account.get("subaccounts", ()):
                entry = found.setdefault(child["id"].lower(), {})
                entry.update({"parent": account["id"], **child})
        for item in (*self.account_connectors, *self.cycles, *self.steps, *self.transactions, *self.incidents):
            if "account" in item:
                found.setdefault(item["account"].lower(), {"id": item["account"]})
        return found

    def numbers(self) -> Iterator[int]:
        """Yield every number that the file gives to something."""
        yield from _numbers_in(attrs.asdict(self))


def _numbers_in(value: object) -> Iterator[int]:
    if isinstance(value, list):
        for item in value:
            yield from _numbers_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("id", "trigger", "method") and isinstance(item, int):
                yield item
            elif key != "answer":
                yield from _numbers_in(item)


def read_state(source: str | os.PathLike[str] | Mapping[str, Any]) -> SeedState:
    """Read a state from a JSON file, or from its content as a mapping.

    Args:
        source: the path of the file, or the content.

    Raises:
        ValueError: it cannot be read, or something in it is unknown or wrong; the message says what and where.
    """
    if isinstance(source, Mapping):
        return SeedState(**_STATE(dict(source), ""))
    try:
        content = json.loads(Path(source).read_text("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"cannot read the state file {os.fspath(source)}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the state file {os.fspath(source)} is not JSON: {error}") from None
    try:
        return SeedState(**_STATE(content, ""))
    except ValueError as error:
        raise ValueError(f"the state file {os.fspath(source)}: {error}") from None
