"""What a cycle consists of: its steps, edges and variables."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.resource import body_of, model, required, text
from cyclr_async.v1.cycle import Edge, Variable
from cyclr_async.v1.resource import V1Resource, free_body, models, some
from cyclr_async.v1.step import Step
from cyclr_async.wire.segments import segment
from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["CycleSteps", "Edges", "Variables", "cycle_path"]


class CycleSteps(V1Resource):
    """The steps of a cycle. Those of a running cycle cannot be changed: :class:`ConflictError`."""

    __slots__ = ()

    async def list(self, cycle_id: str, *, action_type: str | None = None, timeout: float | None = None) -> list[Step]:
        """Return the steps; with ``action_type``, such as ``"action"``, only those.

        Raises:
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # Called after what it filters by: the server knows this single filter.
        asked = {"filter": action_type}
        return await self._send("v1.steps.list", "GET", _steps(cycle_id), models(Step), query=asked, timeout=timeout)

    async def create(
        self,
        cycle_id: str,
        *,
        name: str,
        action_type: str,
        description: str | Unset | None = UNSET,
        left: int | Unset = UNSET,
        top: int | Unset = UNSET,
        timeout: float | None = None,
    ) -> Step:
        """Add a step. Never repeated when it is not known whether it was carried out.

        Args:
            cycle_id: the cycle.
            name: as people see it.
            action_type: such as ``"Action"``.
            description: free text.
            left: its place on the canvas.
            top: its place on the canvas.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            BadRequestError: no such action type.
            NotFoundError: no such cycle.
            OutcomeUnknownError: the step may have been added.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        required(name, "name")
        body = body_of(_step_fields(name, action_type, description, left, top))
        return await self._send("v1.steps.create", "POST", _steps(cycle_id), model(Step), body=body, timeout=timeout)

    async def get(self, cycle_id: str, step_id: str, *, timeout: float | None = None) -> Step:
        """Return a step.

        Raises:
            NotFoundError: no such cycle, or no such step in it.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        return await self._send("v1.steps.get", "GET", _steps(cycle_id, step_id), model(Step), timeout=timeout)

    async def update(
        self,
        cycle_id: str,
        step_id: str,
        *,
        name: str | Unset = UNSET,
        action_type: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        left: int | Unset = UNSET,
        top: int | Unset = UNSET,
        timeout: float | None = None,
    ) -> Step:
        """Change a step. What is not named stays untouched; ``None`` is sent as null.

        Args:
            cycle_id: the cycle.
            step_id: the step.
            name: as people see it.
            action_type: such as ``"Action"``.
            description: free text.
            left: its place on the canvas.
            top: its place on the canvas.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such cycle, or no such step in it.
            ConflictError: the cycle runs.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        body = some(_step_fields(name, action_type, description, left, top))
        path = _steps(cycle_id, step_id)
        return await self._send("v1.steps.update", "PUT", path, model(Step), body=body, timeout=timeout)

    async def delete(self, cycle_id: str, step_id: str, *, timeout: float | None = None) -> None:
        """Delete a step, and the edges at it.

        Raises:
            NotFoundError: no such cycle, or no such step in it.
            ConflictError: the cycle runs.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = _steps(cycle_id, step_id)
        await self._delete("v1.steps.delete", path, timeout=timeout)


class Edges(V1Resource):
    """What leads from one step of a cycle to the next."""

    __slots__ = ()

    async def list(self, cycle_id: str, *, timeout: float | None = None) -> list[Edge]:
        """Return the edges of a cycle.

        Raises:
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        return await self._send("v1.edges.list", "GET", f"{cycle_path(cycle_id)}/edges", models(Edge), timeout=timeout)

    async def create(
        self,
        cycle_id: str,
        *,
        head_step_id: str,
        tail_step_id: str,
        edge_type: str = "Forward",
        timeout: float | None = None,
    ) -> Edge:
        """Lead from one step to another. Never repeated when it is not known whether it was carried out.

        Args:
            cycle_id: the cycle.
            head_step_id: the step before.
            tail_step_id: the step after.
            edge_type: ``"Forward"`` is the only one that is known.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such cycle or step.
            OutcomeUnknownError: the edge may have been added.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        fields = {
            "HeadStepId": text(head_step_id, "head_step_id"),
            "TailStepId": text(tail_step_id, "tail_step_id"),
            "EdgeType": text(edge_type, "edge_type"),
        }
        # Not looked for after a lost answer: two edges between the same steps may be meant.
        path = f"{cycle_path(cycle_id)}/edges"
        return await self._send("v1.edges.create", "POST", path, model(Edge), body=body_of(fields), timeout=timeout)

    async def get(self, cycle_id: str, edge_id: str, *, timeout: float | None = None) -> Edge:
        """Return an edge.

        Raises:
            NotFoundError: no such cycle, or no such edge in it.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{cycle_path(cycle_id)}/edges/{segment(edge_id, name='edge_id')}"
        return await self._send("v1.edges.get", "GET", path, model(Edge), timeout=timeout)

    async def delete(self, cycle_id: str, edge_id: str, *, timeout: float | None = None) -> None:
        """Delete an edge.

        Raises:
            NotFoundError: no such cycle, or no such edge in it.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{cycle_path(cycle_id)}/edges/{segment(edge_id, name='edge_id')}"
        await self._delete("v1.edges.delete", path, timeout=timeout)


class Variables(V1Resource):
    """The variables of a cycle. Those of a running cycle cannot be changed: :class:`ConflictError`."""

    __slots__ = ()

    async def list(self, cycle_id: str, *, timeout: float | None = None) -> list[Variable]:
        """Return the variables of a cycle.

        Raises:
            NotFoundError: no such cycle.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        return await self._whole("v1.variables.list", _variables(cycle_id), models(Variable), timeout=timeout)

    async def create(
        self,
        cycle_id: str,
        *,
        display_name: str,
        system_name: str | Unset = UNSET,
        value: str | Unset | None = UNSET,
        mapping_type: str | Unset = UNSET,
        timeout: float | None = None,
    ) -> Variable:
        """Add a variable. Never repeated when it is not known whether it was carried out; :meth:`set` is.

        Args:
            cycle_id: the cycle.
            display_name: as people see it.
            system_name: what it is found by; the server makes one by default.
            value: what it holds.
            mapping_type: ``"StaticValue"``, ….
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such cycle.
            ConflictError: the cycle runs.
            OutcomeUnknownError: the variable may have been added.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        required(display_name, "display_name")
        body = body_of(_variable_fields(display_name, system_name, value, mapping_type))
        path = _variables(cycle_id)
        return await self._send("v1.variables.create", "POST", path, model(Variable), body=body, timeout=timeout)

    async def set(
        self, cycle_id: str, variables: Sequence[Variable], *, timeout: float | None = None
    ) -> builtins.list[Variable]:
        """Create or change several variables at once, by their system names.

        Args:
            cycle_id: the cycle.
            variables: each with a ``system_name``; what is None is left as it is.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such cycle.
            ConflictError: the cycle runs.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # One without a system name could only be a new one, and would be one more at each repetition.
        if not variables or not all(isinstance(one, Variable) and one.system_name for one in variables):
            raise InvalidArgumentError("variables must be one or more Variable with a system_name each")
        # None leaves a variable's field as it is; a model cannot tell null from absent.
        rows = [{name: value for name, value in one.to_dict().items() if value is not None} for one in variables]
        body = free_body(rows)
        path = _variables(cycle_id)
        return await self._send("v1.variables.set", "PATCH", path, models(Variable), body=body, timeout=timeout)

    async def get(self, cycle_id: str, system_name: str, *, timeout: float | None = None) -> Variable:
        """Return a variable.

        Raises:
            NotFoundError: no such cycle, or no such variable in it.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = _variables(cycle_id, system_name)
        return await self._send("v1.variables.get", "GET", path, model(Variable), timeout=timeout)

    async def update(
        self,
        cycle_id: str,
        system_name: str,
        *,
        display_name: str | Unset = UNSET,
        value: str | Unset | None = UNSET,
        mapping_type: str | Unset = UNSET,
        timeout: float | None = None,
    ) -> Variable:
        """Change a variable. What is not named stays untouched; ``None`` is sent as null.

        Args:
            cycle_id: the cycle.
            system_name: the variable.
            display_name: as people see it.
            value: what it holds.
            mapping_type: ``"StaticValue"``, ….
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such cycle, or no such variable in it.
            ConflictError: the cycle runs.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # The system name stands in the path, and is what other steps refer to: it is not changed.
        body = some(_variable_fields(display_name, UNSET, value, mapping_type))
        path = _variables(cycle_id, system_name)
        return await self._send("v1.variables.update", "PUT", path, model(Variable), body=body, timeout=timeout)

    async def delete(self, cycle_id: str, system_name: str, *, timeout: float | None = None) -> None:
        """Delete a variable.

        Raises:
            NotFoundError: no such cycle, or no such variable in it.
            ConflictError: the cycle runs.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = _variables(cycle_id, system_name)
        await self._delete("v1.variables.delete", path, timeout=timeout)


def cycle_path(cycle_id: str) -> str:
    """Return the path of a cycle."""
    return f"cycles/{segment(cycle_id, name='cycle_id')}"


def _steps(cycle_id: str, step_id: str | None = None) -> str:
    path = f"{cycle_path(cycle_id)}/steps"
    return path if step_id is None else f"{path}/{segment(step_id, name='step_id')}"


def _variables(cycle_id: str, system_name: str | None = None) -> str:
    path = f"{cycle_path(cycle_id)}/variables"
    return path if system_name is None else f"{path}/{segment(system_name, name='system_name')}"


def _step_fields(
    name: object, action_type: object, description: object, left: object, top: object
) -> dict[str, object]:
    return {
        "Name": text(name, "name"),
        "Description": text(description, "description", empty=True, null=True),
        "ActionType": text(action_type, "action_type"),
        # Pixels on the canvas of the editor, which may be negative: nothing to check.
        "DisplayPositionLeft": left,
        "DisplayPositionTop": top,
    }


def _variable_fields(
    display_name: object, system_name: object, value: object, mapping_type: object
) -> dict[str, object]:
    return {
        "DisplayName": text(display_name, "display_name"),
        "SystemName": text(system_name, "system_name"),
        "Value": text(value, "value", empty=True, null=True),
        "MappingType": text(mapping_type, "mapping_type"),
    }
