"""How the fields of a model class correspond to the fields of a JSON object."""

from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Final, get_args

import attrs

from cyclr_async.secret import Secret

__all__ = ["ModelFields", "WireField", "fields_of", "is_model"]

_KINDS: Final = (str, int, bool, datetime, Secret)


@attrs.frozen
class WireField:
    """One documented field: its names here and on the wire, its type, and whether it may be null or absent."""

    name: str
    wire: str
    kind: type[Any]
    optional: bool


@attrs.frozen
class ModelFields:
    """The documented fields of a model class in document order, and the values of its fields that have no wire name."""

    fields: tuple[WireField, ...]
    wire_names: frozenset[str]
    presets: dict[str, Any]


def is_model(cls: Any) -> bool:
    """Return whether ``cls`` is an attrs class that keeps unknown fields in ``extra``."""
    return isinstance(cls, type) and attrs.has(cls) and hasattr(cls, "extra")


def fields_of(cls: type[Any]) -> ModelFields:
    """Return the plan of a model class.

    A field's wire name is its name in PascalCase, or ``metadata["wire"]``; None there marks a field that is ours alone.

    Raises:
        TypeError: a field has a type for which there is no strict rule.
    """
    plan = _plans.get(cls)
    if plan is None:
        plan = _plans[cls] = _make_plan(cls)
    return plan


_plans: dict[type[Any], ModelFields] = {}


def _make_plan(cls: type[Any]) -> ModelFields:
    fields: list[WireField] = []
    presets: dict[str, Any] = {}
    for field in attrs.fields(cls):
        if field.name == "extra":
            continue
        wire = field.metadata.get("wire", "".join(word.capitalize() for word in field.name.split("_")))
        if wire is None:
            presets[field.name] = field.default
            continue
        options = get_args(field.type) if isinstance(field.type, UnionType) else (field.type,)
        kinds = [kind for kind in options if kind is not NoneType]
        if len(kinds) != 1 or kinds[0] not in _KINDS:
            raise TypeError(f"{cls.__name__}.{field.name}: no strict rule for {field.type}")
        fields.append(WireField(field.name, wire, kinds[0], NoneType in options))
    return ModelFields(tuple(fields), frozenset(field.wire for field in fields), presets)
