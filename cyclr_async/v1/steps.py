"""What the steps of an account's cycles need: values for their parameters and fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from yarl import URL

from cyclr_async.http.request import NO_HEADERS, Safety
from cyclr_async.http.resource import Sender, body_of, model, text
from cyclr_async.secret import Secret
from cyclr_async.v1.connector import Choice, Field
from cyclr_async.v1.cycle import Prerequisite
from cyclr_async.v1.resource import NOTHING, V1Resource, flag, hidden, models, nothing, number, secret_text, some
from cyclr_async.v1.step import FieldMapping, ParameterMapping
from cyclr_async.wire.segments import segment
from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["FieldMappings", "Parameters", "Steps"]

T = TypeVar("T")


class _Mappings(V1Resource, Generic[T]):
    """Where the values of a step come from: the same for its parameters and its fields."""

    __slots__ = ()
    # What differs between the two, set by the classes below.
    _NAME = _PART = _ID = ""
    _MODEL: type[Any]

    async def list(self, step_id: str, *, timeout: float | None = None) -> list[T]:
        """Return all of them.

        Raises:
            NotFoundError: no such step.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        return await self._send(f"{self._NAME}.list", "GET", self._of(step_id), models(self._MODEL), timeout=timeout)

    async def get(self, step_id: str, number_: int, *, timeout: float | None = None) -> T:
        """Return one by the id of its parameter or field.

        Raises:
            NotFoundError: no such step, or the step has no such parameter or field.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{self._of(step_id)}/{number(number_, self._ID)}"
        return await self._send(f"{self._NAME}.get", "GET", path, model(self._MODEL), timeout=timeout)

    async def update(
        self,
        step_id: str,
        number_: int,
        *,
        mapping_type: str | Unset = UNSET,
        value: str | Secret | Unset | None = UNSET,
        is_launch_visible: bool | Unset = UNSET,
        source_step_id: str | Unset | None = UNSET,
        source_field_id: int | Unset | None = UNSET,
        timeout: float | None = None,
    ) -> T:
        """Change where the value comes from. What is not named stays untouched; ``None`` is sent as null.

        Args:
            step_id: the step.
            number_: the id of its parameter or field.
            mapping_type: ``"Ignore"``, ``"StaticValue"``, ``"ValueList"``, ….
            value: of a static value; it may be a secret.
            is_launch_visible: whether the end user is asked for it.
            source_step_id: the earlier step whose field is used.
            source_field_id: that field.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such step, or the step has no such parameter or field.
            BadRequestError: the server does not take the values.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        value = hidden(value, "value")
        return await self._put(
            step_id, number_, mapping_type, value, is_launch_visible, source_step_id, source_field_id, UNSET, timeout
        )

    async def _put(
        self,
        step_id: str,
        number_: int,
        mapping_type: str | Unset,
        value: str | Secret | Unset | None,
        is_launch_visible: bool | Unset,
        source_step_id: str | Unset | None,
        source_field_id: int | Unset | None,
        field: Mapping[str, object] | Unset,
        timeout: float | None,
    ) -> T:
        value = hidden(value, "value")
        fields = {
            "MappingType": text(mapping_type, "mapping_type"),
            "Value": secret_text(value),
            "IsLaunchVisible": is_launch_visible,
            "SourceStepId": text(source_step_id, "source_step_id", null=True),
            "SourceFieldId": source_field_id,
            "Field": field,
        }
        return await self._send(
            f"{self._NAME}.update",
            "PUT",
            f"{self._of(step_id)}/{number(number_, self._ID)}",
            model(self._MODEL),
            body=some(fields),
            timeout=timeout,
            secrets=(value,) if isinstance(value, Secret) else (),
        )

    def _of(self, step_id: str) -> str:
        return f"steps/{segment(step_id, name='step_id')}/{self._PART}"


class Parameters(_Mappings[ParameterMapping]):
    """The parameters of a step."""

    __slots__ = ()
    _NAME, _PART, _ID, _MODEL = "v1.parameters", "parameters", "parameter_id", ParameterMapping

    async def lookup(
        self, step_id: str, parameter_id: int, trigger_id: int, *, timeout: float | None = None
    ) -> list[Choice]:
        """Return the values that the third party offers for a parameter.

        Args:
            step_id: the step.
            parameter_id: its parameter.
            trigger_id: one of ``parameter.triggers``.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such step, parameter or look-up.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        number(trigger_id, "trigger_id")
        return await self._send(
            "v1.parameters.lookup",
            "POST",
            f"{self._of(step_id)}/{number(parameter_id, 'parameter_id')}/lookup",
            models(Choice),
            body=body_of({"TriggerId": trigger_id}),
            safety=Safety.REPEATABLE,  # it reads, at the third party
            timeout=timeout,
        )


# Not one class with a switch: look-ups of fields start something, those of parameters return values.
class FieldMappings(_Mappings[FieldMapping]):
    """The fields of a step."""

    __slots__ = ()
    _NAME, _PART, _ID, _MODEL = "v1.field_mappings", "fieldmappings", "field_id", FieldMapping

    async def update(
        self,
        step_id: str,
        number_: int,
        *,
        mapping_type: str | Unset = UNSET,
        value: str | Secret | Unset | None = UNSET,
        is_launch_visible: bool | Unset = UNSET,
        source_step_id: str | Unset | None = UNSET,
        source_field_id: int | Unset | None = UNSET,
        for_request_format: bool | Unset = UNSET,
        timeout: float | None = None,
    ) -> FieldMapping:
        """Change where the value comes from. What is not named stays untouched; ``None`` is sent as null.

        Args:
            step_id: the step.
            number_: the id of its field.
            mapping_type: ``"Ignore"``, ``"StaticValue"``, ``"ValueList"``, ….
            value: of a static value; it may be a secret.
            is_launch_visible: whether the end user is asked for it.
            source_step_id: the earlier step whose field is used.
            source_field_id: that field.
            for_request_format: whether the field is meant as it is sent, rather than as it is received; sent as
                ``Field``, with the id.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such step, or the step has no such field.
            BadRequestError: the server does not take the values.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        value = hidden(value, "value")
        # Only where the format is to be changed: which field it is, the path says.
        field: Mapping[str, object] | Unset = UNSET
        if for_request_format is not UNSET:
            field = {"Id": number_, "ForRequestFormat": flag(for_request_format, "for_request_format")}
        return await self._put(
            step_id, number_, mapping_type, value, is_launch_visible, source_step_id, source_field_id, field, timeout
        )

    async def lookup(self, step_id: str, *, timeout: float | None = None) -> None:
        """Start a look-up of the fields that the third party knows; the fields show what was found.

        Raises:
            NotFoundError: no such step.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        await self._send(
            "v1.field_mappings.lookup",
            "POST",
            f"{self._of(step_id)}/lookup",
            nothing,
            body=NOTHING,
            json=False,
            safety=Safety.REPEATABLE,  # starting it twice finds the same
            timeout=timeout,
        )


class Steps(V1Resource):
    """The steps of all cycles of an account, by their ids alone.

    Attributes:
        parameters: of a step.
        field_mappings: of a step.
    """

    __slots__ = ("field_mappings", "parameters")

    def __init__(self, sender: Sender, root: URL, headers: Mapping[str, str] = NO_HEADERS) -> None:
        super().__init__(sender, root, headers)
        self.parameters: Parameters = Parameters(sender, root, headers)
        self.field_mappings: FieldMappings = FieldMappings(sender, root, headers)

    async def prerequisites(self, step_id: str, *, timeout: float | None = None) -> list[Prerequisite]:
        """Return what must be done before the step can run.

        Raises:
            NotFoundError: no such step.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"steps/{segment(step_id, name='step_id')}/prerequisites"
        return await self._send("v1.steps.prerequisites", "GET", path, models(Prerequisite), timeout=timeout)

    async def fields_for_mapping(self, step_id: str, *, timeout: float | None = None) -> list[Field]:
        """Return the fields of earlier steps that the step can use.

        Raises:
            NotFoundError: no such step.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"steps/{segment(step_id, name='step_id')}/fieldsformapping"
        return await self._send("v1.steps.fields_for_mapping", "GET", path, models(Field), timeout=timeout)
