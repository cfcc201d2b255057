"""The cycles of an account, with their steps, edges, variables, transactions and incidents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any

from yarl import URL

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.request import NO_HEADERS, Response
from cyclr_async.http.resource import Sender, body_of, model, required, text
from cyclr_async.v1.cycle import Cycle, Incident, Prerequisite, Transaction
from cyclr_async.v1.cycle_parts import CycleSteps, Edges, Variables, cycle_path
from cyclr_async.v1.resource import (
    NOTHING,
    QueryValue,
    V1Resource,
    flag,
    models,
    nothing,
    query_text,
    raw,
    some,
    texts,
)
from cyclr_async.wire.segments import segment
from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["Cycles", "Incidents", "Transactions"]


class Transactions(V1Resource):
    """The runs of cycles."""

    __slots__ = ()

    async def iter(
        self,
        cycle_id: str | None = None,
        *,
        after: datetime | None = None,
        before: datetime | None = None,
        status: str | None = None,
        split_type: str | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Transaction, None]:
        """Yield the transactions of a cycle, or of all cycles of the account.

        Args:
            cycle_id: the cycle; None for all.
            after: sent as UTC in whole seconds; a time without zone is taken as UTC.
            before: likewise.
            status: such as ``"Completed"``.
            split_type: such as ``"Unsplit"``.
            timeout: wall-clock seconds for each page; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # Two routes of the service; to a caller it is one list with or without a cycle.
        path = "cycles/transactions" if cycle_id is None else f"{cycle_path(cycle_id)}/transactions"
        name = f"v1.transactions.{'all' if cycle_id is None else 'list'}"
        asked: dict[str, QueryValue] = {"after": after, "before": before, "status": status, "splitType": split_type}
        async for one in self._iter(name, path, Transaction, lambda one: one.id, query=asked, timeout=timeout):
            yield one

    async def items(
        self, cycle_id: str, transaction_id: str, *, query: str | None = None, timeout: float | None = None
    ) -> list[Any]:
        """Return what was done in a transaction, as JSON as it came.

        Args:
            cycle_id: the cycle.
            transaction_id: the transaction.
            query: only items that hold this text.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such cycle, or no such transaction of it.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{cycle_path(cycle_id)}/transactions/{segment(transaction_id, name='transaction_id')}"
        found: list[Any] = await self._send(
            "v1.transactions.items", "GET", path, raw, query={"query": query}, timeout=timeout
        )
        return found


class Incidents(V1Resource):
    """Errors and warnings of cycles."""

    __slots__ = ()

    async def iter(
        self,
        cycle_id: str | None = None,
        *,
        level: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Incident, None]:
        """Yield the incidents of a cycle, or those of one level of all cycles of the account.

        Incidents have no ids. Equal ones on one page are two incidents; one that equals an incident of an earlier page
        is taken for that one, moved to another page meanwhile, and left out.

        Args:
            cycle_id: the cycle; None for all, which needs a level.
            level: ``"error"`` or ``"warning"``; None for both.
            after: sent as UTC in whole seconds; a time without zone is taken as UTC.
            before: likewise.
            timeout: wall-clock seconds for each page; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: neither a cycle nor a level.
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        if cycle_id is None and level is None:
            raise InvalidArgumentError("the incidents of all cycles are listed by level: give cycle_id or level")
        path = "cycles/incidents" if cycle_id is None else f"{cycle_path(cycle_id)}/incidents"
        if level is not None:
            path += f"/{segment(level, name='level')}"
        name = f"v1.incidents.{'all' if cycle_id is None else 'list'}"
        asked: dict[str, QueryValue] = {"after": after, "before": before}
        # None: incidents have no ids, see pages().
        async for one in self._iter(name, path, Incident, None, query=asked, timeout=timeout):
            yield one

    async def delete(self, cycle_id: str, *, timeout: float | None = None) -> None:
        """Delete the incidents of a cycle.

        Raises:
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{cycle_path(cycle_id)}/incidents"
        # Repeated blindly: deleting them twice deletes what has come between, which deleting later would have done too.
        await self._send("v1.incidents.delete", "DELETE", path, nothing, json=False, timeout=timeout)


class Cycles(V1Resource):
    """The cycles of an account. A running one cannot be changed: :class:`ConflictError`.

    Attributes:
        steps: of a cycle.
        edges: of a cycle.
        variables: of a cycle.
        transactions: of a cycle, or of all.
        incidents: of a cycle, or of all.
    """

    __slots__ = ("edges", "incidents", "steps", "transactions", "variables")

    def __init__(self, sender: Sender, root: URL, headers: Mapping[str, str] = NO_HEADERS) -> None:
        super().__init__(sender, root, headers)
        self.steps: CycleSteps = CycleSteps(sender, root, headers)
        self.edges: Edges = Edges(sender, root, headers)
        self.variables: Variables = Variables(sender, root, headers)
        self.transactions: Transactions = Transactions(sender, root, headers)
        self.incidents: Incidents = Incidents(sender, root, headers)

    async def iter(
        self,
        *,
        connector_name: str | None = None,
        connector_version: str | None = None,
        tag: str | None = None,
        include_icons: bool = False,
        order_by: str | None = None,
        ascending: bool | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Cycle, None]:
        """Yield the cycles, page after page; one that moves between pages meanwhile comes once.

        Args:
            connector_name: only those that use it.
            connector_version: of that connector.
            tag: only those with it.
            include_icons: whether the icons of connectors come too; they are most of the answer.
            order_by: ``"Id"`` or ``"Name"``.
            ascending: the direction.
            timeout: wall-clock seconds for each page; ``Timeouts.deadline`` when None.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        asked = {
            "connectorName": connector_name,
            "connectorVersion": connector_version,
            "tag": tag,
            # Sent in any case: what the server does without it is not known, and icons are most of the bytes.
            "includeIcons": flag(include_icons, "include_icons"),
            "orderBy": order_by,
            "sortOrderAsc": ascending,
        }
        async for one in self._iter(
            "v1.cycles.list", "cycles", Cycle, lambda one: one.id, query=asked, timeout=timeout
        ):
            yield one

    async def get(self, cycle_id: str, *, include_icons: bool = False, timeout: float | None = None) -> Cycle:
        """Return a cycle.

        Raises:
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        asked = {"includeIcons": flag(include_icons, "include_icons")}
        return await self._send(
            "v1.cycles.get", "GET", cycle_path(cycle_id), model(Cycle), query=asked, timeout=timeout
        )

    async def create(
        self,
        *,
        name: str,
        description: str | Unset | None = UNSET,
        shareable: bool | Unset = UNSET,
        step_error_action: str | Unset = UNSET,
        log_step_data_requests: bool | Unset = UNSET,
        collection_split_type: str | Unset = UNSET,
        tags: Sequence[str] | Unset = UNSET,
        timeout: float | None = None,
    ) -> Cycle:
        """Create a cycle without steps. Never repeated when it is not known whether it was carried out.

        Args:
            name: as people see it.
            description: free text.
            shareable: whether it can be shared.
            step_error_action: ``"Ignore"``, ``"Stop"``, ``"Retry"``, ….
            log_step_data_requests: whether requests and answers are kept.
            collection_split_type: ``"None"``, ``"All"``, ….
            tags: of the cycle.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            BadRequestError: the server does not take the values.
            OutcomeUnknownError: the cycle may have been created.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        required(name, "name")
        fields = _cycle_fields(
            name, description, shareable, step_error_action, log_step_data_requests, collection_split_type, tags
        )
        return await self._send(
            "v1.cycles.create",
            "POST",
            "cycles",
            model(Cycle),
            body=body_of(fields),
            timeout=timeout,
            advice="look for a cycle of that name in the account before creating it again",
        )

    async def update(
        self,
        cycle_id: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        shareable: bool | Unset = UNSET,
        step_error_action: str | Unset = UNSET,
        log_step_data_requests: bool | Unset = UNSET,
        collection_split_type: str | Unset = UNSET,
        tags: Sequence[str] | Unset = UNSET,
        timeout: float | None = None,
    ) -> Cycle:
        """Change a cycle. What is not named stays untouched; ``None`` is sent as null.

        Args:
            cycle_id: the cycle.
            name: as people see it.
            description: free text.
            shareable: whether it can be shared.
            step_error_action: ``"Ignore"``, ``"Stop"``, ``"Retry"``, ….
            log_step_data_requests: whether requests and answers are kept.
            collection_split_type: ``"None"``, ``"All"``, ….
            tags: of the cycle, instead of those it has.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such cycle.
            ConflictError: the cycle runs.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        fields = _cycle_fields(
            name, description, shareable, step_error_action, log_step_data_requests, collection_split_type, tags
        )
        body = some(fields)
        return await self._send(
            "v1.cycles.update", "PUT", cycle_path(cycle_id), model(Cycle), body=body, timeout=timeout
        )

    async def delete(self, cycle_id: str, *, timeout: float | None = None) -> None:
        """Delete a cycle. The service keeps it for 90 days.

        Raises:
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        await self._delete("v1.cycles.delete", cycle_path(cycle_id), seen=_kept, timeout=timeout)

    async def upgradeable(self, *, timeout: float | None = None) -> list[Cycle]:
        """Return the cycles whose template has a newer release.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        return await self._whole("v1.cycles.upgradeable", "cycles/upgradeable", models(Cycle), timeout=timeout)

    async def activate(
        self,
        cycle_id: str,
        *,
        start_time: datetime | None = None,
        interval: int | None = None,
        run_once: bool | None = None,
        timeout: float | None = None,
    ) -> None:
        """Start a cycle.

        Args:
            cycle_id: the cycle.
            start_time: the first run; sent as UTC in whole seconds, a time without zone is taken as UTC.
            interval: minutes between two runs: 1, 5, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1440 or 10080.
            run_once: whether it runs a single time.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            BadRequestError: something must be done first: see :meth:`prerequisites`.
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        if start_time is not None and not isinstance(start_time, datetime):
            raise InvalidArgumentError(f"start_time must be a datetime, not {type(start_time).__name__}")
        # Absent and not null: what null means to a start is not known.
        given = {"StartTime": query_text("start_time", start_time), "Interval": interval, "RunOnce": run_once}
        body = body_of({name: value for name, value in given.items() if value is not None})
        path = f"{cycle_path(cycle_id)}/activate"
        await self._send("v1.cycles.activate", "PUT", path, nothing, body=body, json=False, timeout=timeout)

    async def deactivate(
        self, cycle_id: str, *, finish_queued_transactions: bool | None = None, timeout: float | None = None
    ) -> None:
        """Stop a cycle; one that does not run stays as it is.

        Args:
            cycle_id: the cycle.
            finish_queued_transactions: whether what has begun is done first; None leaves it to the server.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        await self._send(
            "v1.cycles.deactivate",
            "PUT",
            f"{cycle_path(cycle_id)}/deactivate",
            nothing,
            query={"finishQueuedTransactions": finish_queued_transactions},
            # A PUT that says nothing but its query.
            body=NOTHING,
            json=False,
            timeout=timeout,
        )

    async def prerequisites(self, cycle_id: str, *, timeout: float | None = None) -> list[Prerequisite]:
        """Return what must be done before the cycle can run.

        Raises:
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{cycle_path(cycle_id)}/prerequisites"
        return await self._send("v1.cycles.prerequisites", "GET", path, models(Prerequisite), timeout=timeout)


def _kept(answer: Response) -> object:
    """Return whether a cycle is there: one that is deleted may still be shown for as long as the service keeps it."""
    # By that status alone: a cycle that is stopped or paused meanwhile is still there.
    return None if model(Cycle)(answer).status == "DeleteScheduled" else True


def _cycle_fields(
    name: object,
    description: object,
    shareable: object,
    step_error_action: object,
    log_step_data_requests: object,
    collection_split_type: object,
    tags: Sequence[str] | Unset,
) -> dict[str, object]:
    return {
        "Name": text(name, "name"),
        "Description": text(description, "description", empty=True, null=True),
        "Shareable": shareable,
        "StepErrorAction": text(step_error_action, "step_error_action"),
        "LogStepDataRequests": log_step_data_requests,
        "CollectionSplitType": text(collection_split_type, "collection_split_type"),
        "Tags": tags if tags is UNSET else texts(tags, "tags"),
    }
