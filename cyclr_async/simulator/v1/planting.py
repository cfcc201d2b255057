"""From a state file to a world: what the file lists, and inventions up to the numbers it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import attrs

from cyclr_async.simulator.domain.catalogue import Connector
from cyclr_async.simulator.v1.cycles import ACTION_TYPES, INCIDENT_LEVELS, MAPPING_TYPES
from cyclr_async.simulator.v1.dates import moment_text
from cyclr_async.simulator.v1.definitions import ICON, Choice, Field, Method, Parameter, Trigger
from cyclr_async.simulator.v1.holdings import (
    NO_GUID,
    AccountConnector,
    Cycle,
    CycleConnector,
    CycleRecord,
    Edge,
    Holdings,
    Step,
    StepMapping,
)
from cyclr_async.simulator.v1.install import find_or_install, install_connector
from cyclr_async.simulator.v1.library import Template

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.simulator_state import SimulatorState
    from cyclr_async.simulator.seed_state import SeedState

__all__ = ["account_total", "plant"]

_USUAL_ACCOUNTS: Final = 50
_DAY_OF_RECORDS: Final = datetime(2024, 6, 1, 12, tzinfo=UTC)
"""When transactions and incidents happened whose dates a file leaves out: the same in every run."""


def account_total(wanted: int | None, given: SeedState | None) -> int:
    """Return how many accounts a world begins with.

    Args:
        wanted: how many were asked for when the simulator was made, or None.
        given: the state file, or None.
    """
    if given is None:
        return _USUAL_ACCOUNTS if wanted is None else wanted
    listed = len(given.every_account())
    usual = 0 if given.accounts is not None or listed else _USUAL_ACCOUNTS
    at_least = given.accounts_at_least
    return max(listed, usual if at_least is None and wanted is None else max(wanted or 0, at_least or 0))


def plant(world: SimulatorState, given: SeedState) -> None:
    """Put everything of a state file into a world that is new.

    Raises:
        ValueError: something in the file contradicts or misses something else; the message says what.
    """
    _Planter(world, given).plant()


def _named(name: str, names: tuple[str, ...], where: str) -> str:
    found = next((known for known in names if known.lower() == name.lower()), None)
    if found is None:
        raise ValueError(f"{where} {name!r} is unknown; there are {', '.join(names)}")
    return found


def _choices(given: Iterable[dict[str, Any]]) -> tuple[Choice, ...]:
    return tuple(
        Choice(item.get("name", item.get("value", "")), item.get("value", item.get("name", ""))) for item in given
    )


def _trigger(given: dict[str, Any]) -> Trigger:
    more = {"answers": _choices(given["answers"])} if "answers" in given else {}
    return Trigger(id=given.get("id", 0), name=given.get("name", "Look up"), method_id=given.get("method"), **more)


def _parameter(given: dict[str, Any], **more: Any) -> Parameter:
    known = {name: given[name] for name in _PARAMETER_NAMES if name in given}
    if "values" in known:
        known["values"] = tuple(known["values"])
    name = given.get("name") or given.get("target_name") or f"Parameter {given.get('id', '')}".strip()
    return Parameter(**{"name": name, "target_name": name, **known, **more})


_PARAMETER_NAMES: Final = frozenset(field.name for field in attrs.fields(Parameter))
_FIELD_NAMES: Final = frozenset(field.name for field in attrs.fields(Field))


def _field(given: dict[str, Any]) -> Field:
    return Field(**{"location": given["name"], **{name: given[name] for name in _FIELD_NAMES if name in given}})


def _method(given: dict[str, Any]) -> Method:
    more = {name: given[name] for name in ("category", "method_type", "end_point", "answer") if name in given}
    return Method(
        id=given.get("id", 0),
        unique_id=given.get("unique_identifier", ""),
        name=given["name"],
        description=given.get("description") or f"{given['name']}.",
        parameters=tuple(_parameter(item) for item in given.get("parameters", ())),
        request_fields=tuple(_field(item) for item in given.get("request_fields", ())),
        response_fields=tuple(_field(item) for item in given.get("response_fields", ())),
        **more,
    )


def _sign_in(auth_type: str) -> Any:
    """Return the way the partner API signs in to a connector of that ``AuthType``."""
    return {"apikey": "ApiKey", "basic": "Basic", "oauth1": "OAuth2", "oauth2": "OAuth2"}.get(auth_type.lower(), "None")


class _Planter:
    """The one who does it: what later parts of a file need of earlier ones is kept here."""

    def __init__(self, world: SimulatorState, given: SeedState) -> None:
        self.world, self.given = world, given
        self.catalogue, self.library, self.state = world.catalogue, world.library, world.state
        self.invented: list[Connector] = []
        self.accounts: list[str] = []
        self.own_ids: set[int] = set()

    def plant(self) -> None:
        self.catalogue.reserve(self.given.numbers())
        self._partner()
        self._connectors()
        self._accounts()
        for number, item in enumerate(self.given.account_connectors):
            self._account_connector(item, f"account_connectors[{number}]")
        self._more_account_connectors()
        self._templates()
        for number, item in enumerate(self.given.cycles):
            self._cycle(item, f"cycles[{number}]")
        self._more_cycles()
        for number, item in enumerate(self.given.steps):
            self._loose_step(item, f"steps[{number}]")
        for number, item in enumerate(self.given.transactions):
            self._transaction(item, f"transactions[{number}]")
        for number, item in enumerate(self.given.incidents):
            self._incident(item, f"incidents[{number}]")

    def _partner(self) -> None:
        partner = self.given.partner
        self.library.inline_oauth = partner.get("inline_oauth", True)
        self.state.details["Domain"] = partner.get("domain", self.state.details["Domain"])
        for user in self.given.users:
            self.world.people.meet(user["name"])
            self.world.people.set_password(user["name"], user.get("password"))

    def _connectors(self) -> None:
        categories: dict[str, None] = {}
        for item in self.given.connectors or ():
            auth_type = item.get("auth_type", "ApiKey")
            self.catalogue.add(
                Connector(
                    item["name"],
                    item.get("version") or None,
                    _sign_in(auth_type),
                    id=item.get("id", 0),
                    status=item.get("status", "Approved").capitalize(),
                    description=item.get("description"),
                    categories=tuple(item.get("categories", ())),
                    auth_type=auth_type,
                    parameters=tuple(_parameter(one) for one in item.get("properties", ())),
                    methods=tuple(map(_method, item["methods"])) if "methods" in item else None,
                    triggers=tuple(map(_trigger, item.get("triggers", ()))),
                    icon=item.get("icon", ICON),
                )
            )
            categories.update(dict.fromkeys(item.get("categories", ())))
        # An invented connector is in every category of the file, so that each of their lists can be paged through.
        for number in range(1, (self.given.connectors_at_least or 0) - len(self.catalogue) + 1):
            connector = Connector(
                f"Example App {number}", "v1", "ApiKey", categories=tuple(categories) or ("Examples",)
            )
            self.invented.append(self.catalogue.add(connector))

    def _connector(self, wanted: dict[str, Any], where: str, version: str | None = None) -> Connector:
        """Return the connector that is meant; one that is named but not described is added."""
        version = wanted.get("version") or version
        if "name" not in wanted:
            found = self.catalogue.by_id(wanted["id"])
            if found is None:
                raise ValueError(f"{where}: there is no connector with the id {wanted['id']}")
            return found
        known = self.catalogue.find(wanted["name"], version)
        if known is None and version is None:  # perhaps name and version in one text
            name, _, last = wanted["name"].rpartition(" ")
            known = self.catalogue.find(name, last) if name else None
        return known or self.catalogue.add(Connector(wanted["name"], version))

    def _accounts(self) -> None:
        every = self.given.every_account()
        for index, account in enumerate(every.values()):
            record = self.state.adopt(index, account["id"], account.get("name", account["id"]))
            record.description = account.get("description", record.description)
            record.marketplaces = tuple(item["id"] for item in account.get("marketplaces", ()))
            for user in account.get("users", ()):
                self.world.join(record, user["name"])
                self.world.people.set_password(user["name"], user.get("password"))
            self.accounts.append(account["id"])
        for account in every.values():
            if "parent" in account:
                child, parent = self.state.find_api(account["id"]), self.state.find_api(account["parent"])
                if child is not None and parent is not None and child is not parent:
                    self.state.set_parent(child, parent)

    def _holdings(self, account: str) -> Holdings:
        record = self.state.find_api(account)
        assert record is not None  # every account that a file mentions was made
        return record.holdings

    def _account_connector(self, item: dict[str, Any], where: str) -> None:
        holdings = self._holdings(item["account"])
        if item.get("id") in self.own_ids:
            raise ValueError(f"{where}: another account connector has the id {item['id']}")
        self.own_ids.add(item.get("id", 0))
        self.own_ids.discard(0)
        connector = self._connector(item["connector"], where, item.get("version"))
        if "triggers" in item:
            connector = attrs.evolve(connector, triggers=self._triggers(item["triggers"]))
        own = install_connector(
            self.catalogue,
            holdings,
            connector,
            self._free_name(holdings, item.get("name") or connector.name),
            number=item.get("id", 0),
            auth_value=item.get("auth_value"),
        )
        own.authenticated, own.description = item.get("authenticated", True), item.get("description")
        for given in item.get("properties", ()):
            number = given.get("id") or self.catalogue.number()
            own.properties[number] = {"Name": given["name"], "Value": given.get("value")}
        for given in item.get("fields", ()):
            number = given.get("id") or self.catalogue.number()
            own.fields[number] = {
                "Id": number,
                "ConnectorField": given.get("connector_field", given.get("display_name")),
                "SystemField": given.get("system_field"),
                "DisplayName": given.get("display_name", given.get("connector_field")),
                "Description": given.get("description"),
                "DataType": given.get("data_type", "Text"),
                "MethodUniqueIdentifier": given.get("method_unique_identifier", NO_GUID),
                "DataTypeFormat": given.get("data_type_format"),
                "EntityIdentifier": given.get("entity_identifier"),
                "ForRequestFormat": given.get("for_request_format", False),
            }

    def _triggers(self, given: Iterable[dict[str, Any]]) -> tuple[Trigger, ...]:
        """Return look-ups, each with a number."""
        triggers = (_trigger(item) for item in given)
        return tuple(one if one.id else attrs.evolve(one, id=self.catalogue.number()) for one in triggers)

    def _fields(self, given: Iterable[dict[str, Any]]) -> tuple[Field, ...]:
        """Return fields, each with a number."""
        fields = (_field(item) for item in given)
        return tuple(one if one.id else attrs.evolve(one, id=self.catalogue.number()) for one in fields)

    @staticmethod
    def _free_name(holdings: Holdings, name: str) -> str:
        found, count = name, 1
        while holdings.connector_named(found) is not None:
            count += 1
            found = f"{name} {count}"
        return found

    def _spare(self) -> list[Connector]:
        """Return connectors for what is invented: such as no file describes, if there are any."""
        return self.invented or list(self.catalogue)

    def _more_account_connectors(self) -> None:
        """Each account of the file gets as many as are asked for; under names that leave those of connectors free."""
        spare = self._spare()
        for account in self.accounts:
            holdings, number = self._holdings(account), 0
            while spare and len(holdings.connectors) < self.given.account_connectors_at_least:
                connector, number = spare[number % len(spare)], number + 1
                name = self._free_name(holdings, f"{connector.name} ({number})")
                install_connector(self.catalogue, holdings, connector, name, auth_value="example")

    def _templates(self) -> None:
        given, at_least = self.given.templates, self.given.templates_at_least
        if given is None and at_least is None:
            return
        self.library.templates.clear()
        for number, item in enumerate(given or ()):
            where = f"templates[{number}]"
            used = tuple(
                CycleConnector(self._connector(one, where), max(1, one.get("steps", 1)))
                for one in item.get("connectors", ())
            )
            self.library.add_template(
                Template(
                    id=item.get("id") or self.library.guid(),
                    name=item["name"],
                    description=item.get("description"),
                    tags=tuple(item.get("tags", ())),
                    connectors=used,
                )
            )
        spare = self._spare()
        for number in range(1, (at_least or 0) - len(self.library.templates) + 1):
            used = tuple(CycleConnector(connector, 1) for connector in spare[number % max(1, len(spare)) :][:2])
            self.library.add_template(
                Template(id=self.library.guid(), name=f"Example template {number}", connectors=used)
            )

    def _used(self, holdings: Holdings, wanted: dict[str, Any], where: str) -> AccountConnector:
        """Return the connector of an account that is meant; it is installed when there is none."""
        named = wanted.get("account_connector", wanted.get("id") if "name" not in wanted else wanted["name"])
        own = holdings.connectors.get(named) if isinstance(named, int) else holdings.connector_named(str(named))
        if own is not None and (
            not wanted.get("version") or own.connector.is_called(own.connector.name, wanted["version"])
        ):
            return own
        if "account_connector" in wanted:  # by the name of a connector, unless it is a number
            if not isinstance(named, str):
                raise ValueError(f"{where}: the account has no connector {named!r}")
            wanted = {"name": named}
        own = find_or_install(self.catalogue, holdings, self._connector(wanted, where))
        own.authenticated = True
        return own

    def _cycle(self, item: dict[str, Any], where: str) -> None:
        holdings = self._holdings(item["account"])
        declared = tuple(self._used(holdings, one, where) for one in item.get("connectors", ()))
        cycle = Cycle(
            id=item.get("id") or self.library.guid(),
            created=self.world.clock.now(),
            name=item.get("name", f"Cycle {len(holdings.cycles) + 1}"),
            description=item.get("description"),
            status=item.get("status", "Paused").capitalize(),
            tags=tuple(item.get("tags", ())),
            declared=declared,
        )
        described = item.get("steps", [{} for _ in declared])
        for number, one in enumerate(described):
            step = self._step(holdings, one, declared[number % len(declared)] if declared else None, where)
            cycle.steps[step.id] = step
        steps = list(cycle.steps.values())
        if "edges" in item:
            for number, one in enumerate(item["edges"]):
                head = one.get("head") or (steps[number % len(steps)].id if steps else NO_GUID)
                tail = one.get("tail") or (steps[(number + 1) % len(steps)].id if steps else NO_GUID)
                edge = Edge(one.get("id") or self.library.guid(), head, tail, one.get("type", "Forward"))
                cycle.edges[edge.id] = edge
        else:
            cycle.edges = self.library.edges(steps)
        holdings.cycles[cycle.id] = cycle

    def _step(self, holdings: Holdings, item: dict[str, Any], own: AccountConnector | None, where: str) -> Step:
        """Return a step; one that says nothing of a connector calls the one that is its turn."""
        if "connector" in item or "account_connector" in item:
            wanted = {**item.get("connector", {}), **_only(item, "account_connector")}
            own = self._used(holdings, wanted, where)
        action_type = _named(item.get("action_type", "Action"), ACTION_TYPES, f"{where}: action_type")
        if action_type != "Action":
            own = None
        method = self._method_of(own, item.get("method"), where)
        step = Step(
            id=item.get("id") or self.library.guid(),
            name=item.get("name") or (method.name if method else action_type),
            action_type=action_type,
            description=item.get("description"),
            account_connector=own,
            method=method,
            left=item.get("left", 0),
            top=item.get("top", 0),
        )
        self._map(step, item, where)
        return step

    @staticmethod
    def _method_of(own: AccountConnector | None, wanted: Any, where: str) -> Method | None:
        methods = (own.connector.methods or ()) if own is not None else ()
        if wanted is None:
            return methods[0] if methods else None
        text = str(wanted).lower()
        found = next((one for one in methods if text in (one.name.lower(), one.unique_id, str(one.id))), None)
        if found is None:
            raise ValueError(f"{where}: the connector has no method {wanted!r}")
        return found

    def _map(self, step: Step, item: dict[str, Any], where: str) -> None:
        """Give a step the parameters and fields of the file, and where it says nothing those of its method."""
        if "fields" in item:
            step.fields.clear()
        if "parameters" in item:
            step.parameters.clear()
        given_fields = item.get("fields", [])
        for given, field in zip(given_fields, self._fields(given_fields), strict=True):
            step.fields[field.id] = self._mapping(field, given, where)
        for given in item.get("parameters", ()):
            looked_up = {"id": given.get("trigger", 0), **_only(given, "answers")}
            triggers = self._triggers(given.get("triggers", [looked_up]))
            parameter = _parameter(given, id=given.get("id") or self.catalogue.number(), triggers=triggers)
            step.parameters[parameter.id] = self._mapping(parameter, given, where)
        if step.method is not None:
            for parameter in () if "parameters" in item else step.method.parameters:
                step.parameters.setdefault(parameter.id, StepMapping(what=parameter))
            for field in () if "fields" in item else step.method.request_fields:
                step.fields.setdefault(field.id, StepMapping(what=field))
        earlier = item.get("fields_for_mapping")
        if earlier is not None:
            step.earlier = self._fields(earlier)
        elif "fields" in item:
            step.earlier = tuple(mapping.what for mapping in step.fields.values() if isinstance(mapping.what, Field))

    @staticmethod
    def _mapping(what: Parameter | Field, given: dict[str, Any], where: str) -> StepMapping:
        kind = given.get("mapping_type")
        return StepMapping(
            what=what,
            mapping_type=None if kind is None else _named(kind, MAPPING_TYPES, f"{where}: mapping_type"),
            value=given.get("value"),
            launch_visible=given.get("launch_visible", False),
        )

    def _more_cycles(self) -> None:
        """Each account of the file gets as many as are asked for."""
        spare = [connector.id for connector in self._spare()]
        for account in self.accounts:
            holdings, number = self._holdings(account), 0
            # Those that were invented for the account, so that what the file says of the others stays as it is.
            own = [one.id for one in holdings.connectors.values() if one.connector.id in spare] or spare
            while own and len(holdings.cycles) < self.given.cycles_at_least:
                number += 1
                used = [{"id": own[place % len(own)]} for place in (number - 1, number)]
                self._cycle({"account": account, "name": f"Example cycle {number}", "connectors": used}, "cycles")

    def _cycles(self) -> Iterator[Cycle]:
        for account in self.accounts:
            yield from self._holdings(account).cycles.values()

    def _loose_step(self, item: dict[str, Any], where: str) -> None:
        """Describe a step of a cycle further, or add one to it; or make one of no cycle."""
        for cycle in self._cycles():
            if item["id"] in cycle.steps:
                step = cycle.steps[item["id"]]
                step.name, step.description = item.get("name", step.name), item.get("description", step.description)
                self._map(step, item, where)
                return
        if "cycle" in item:
            account, cycle = self._cycle_of(item, where)
            cycle.steps[item["id"]] = self._step(self._holdings(account), item, None, where)
            return
        owner = item.get("account") or (self.accounts[0] if self.accounts else None)
        holdings = Holdings() if owner is None else self._holdings(owner)
        self.library.loose_steps[item["id"]] = self._step(holdings, item, None, where)

    def _cycle_of(self, item: dict[str, Any], where: str) -> tuple[str, Cycle]:
        """Return the cycle that is meant; when none is named, the first of the account, or of all."""
        wanted, account = item.get("cycle"), item.get("account")
        for own in self.accounts if account is None else [account]:
            for cycle in self._holdings(own).cycles.values():
                if wanted in (None, cycle.id):
                    return own, cycle
        raise ValueError(f"{where}: there is no {'cycle' if wanted is None else f'cycle {wanted}'}")

    def _transaction(self, item: dict[str, Any], where: str) -> None:
        cycle = self._cycle_of(item, where)[1]
        number, at = item.get("id") or self.library.guid(), item.get("at", _DAY_OF_RECORDS)
        status, split_type = item.get("status", "Completed"), item.get("split_type", "Unsplit")
        row = {
            "Id": number,
            "CycleId": cycle.id,
            "CycleName": cycle.name,
            "Status": status,
            "SplitType": split_type,
            "CreatedOnUtc": moment_text(at),
            "CompletedOnUtc": moment_text(at),
            "TasksUsed": 1,
        }
        items = tuple(item["items"]) if "items" in item else tuple(_usual_items(cycle))
        cycle.transactions.append(
            CycleRecord(id=number, at=at, kind=status, split_type=split_type, items=items, row=row)
        )

    def _incident(self, item: dict[str, Any], where: str) -> None:
        cycle = self._cycle_of(item, where)[1]
        level = _named(item.get("level", "Error"), INCIDENT_LEVELS, f"{where}: level")
        first = next(iter(cycle.steps.values()), None)
        step = item.get("step") or (first.id if first else NO_GUID)
        known = cycle.steps.get(step)
        latest = cycle.transactions[-1].id if cycle.transactions else self.library.guid()
        short = item.get("short_message", "The third party answered 401.")
        row = {
            "CycleId": cycle.id,
            "CycleName": cycle.name,
            "IncidentLevel": level,
            "ShortMessage": short,
            "FullMessage": item.get("full_message")
            or f"HTTP 401 Unauthorized\r\n{short}\r\n\r\nHTTP Request:\r\nGET /",
            "StepId": step,
            "StepName": item.get("step_name") or (known.name if known else "Step"),
            "TransactionId": item.get("transaction") or latest,
        }
        cycle.incidents.append(CycleRecord(at=item.get("at", _DAY_OF_RECORDS), kind=level, row=row))


def _only(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: item[name] for name in names if name in item}


def _usual_items(cycle: Cycle) -> Iterator[dict[str, Any]]:
    """Yield the items of a transaction that a file says nothing of: what was asked twice, and what came of it."""
    step = next(iter(cycle.steps.values()), None)
    about = {"StepId": step.id if step else NO_GUID, "StepName": step.name if step else "Step", "Status": "Completed"}
    for name, detail in (
        ("Request", "HTTP Request:\r\nGET /records/1"),
        ("Request", "HTTP Request:\r\nPOST /records"),
        ("Response", '{"Id":"1"}'),
    ):
        yield {**about, "Name": name, "Detail": detail}
