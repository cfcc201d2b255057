"""The one cattrs converter: between the JSON of the API and the models, without any coercion.

For each model class a decoder is compiled on first use. It serves the answers the document describes; whatever it does
not recognise goes through :mod:`cyclr_async.wire.validation`, which accepts what is right and names what is wrong.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast, overload

import cattrs

from cyclr_async.errors import DecodeError
from cyclr_async.secret import HiddenStr, Secret, SecretUrl
from cyclr_async.wire import strict_json
from cyclr_async.wire.dates import NEVER_FORM, USUAL_FORM, is_never, parse_datetime, wire_text
from cyclr_async.wire.extra import EMPTY, Extra
from cyclr_async.wire.fields import WireField, fields_of, is_model
from cyclr_async.wire.validation import Issue, check_value, error_for, kind_of, validate

__all__ = ["Problem", "converter", "decode", "decoder_of", "structure", "structure_list", "unstructure"]

T = TypeVar("T")
Hook: TypeAlias = Callable[[Any, Any], Any]
Problem: TypeAlias = tuple[int, DecodeError]
"""The index of an element that was left out in lenient mode, and why."""

# How a value of each type is recognised and made, as source code over the name of a local variable. An expression may
# raise ValueError or TypeError to refuse: the diagnosis then finds out why.
_TESTS: Final[dict[type, str]] = {
    str: "{v}.__class__ is str",
    bool: "{v}.__class__ is bool",
    int: "{v}.__class__ is int and -9223372036854775808 <= {v} <= 9223372036854775807",
    datetime: "{v}.__class__ is str",
    Secret: "{v}.__class__ is str",
    SecretUrl: "{v}.__class__ is str",
    object: "True",
}
_MAKERS: Final[dict[type, str]] = {
    datetime: USUAL_FORM,
    Secret: "Secret({v})",
    SecretUrl: "SecretUrl({v})",
}


def _compile(cls: type[Any]) -> Hook:
    """Compile the decoder of one model class.

    A frozen attrs instance is costly to make through its initialiser. The decoder fills a twin of the same layout that
    is not frozen, and turns it into the model: a sixth of the time.
    """
    plan = fields_of(cls)
    twin = _twin_of(cls)
    # Local variables with names of our own: no name of a field can be taken for another one of the source.
    names = {field.name: f"v{index}" for index, field in enumerate(plan.fields)}
    reads = "".join(f"      {names[field.name]} = data[{field.wire!r}]\n" for field in plan.fields)
    # One chain of ands: no loop, and no table to look into, for every field of every answer.
    tests = "".join(f" and ({_test(field, names[field.name])})" for field in plan.fields)
    never = "".join(f" and not ({NEVER_FORM.format(v=names[field.name])})" for field in plan.fields if field.never)
    # Every documented name was found, so a dict of the same size has no others, and need not be searched for them.
    extra = f"empty if len(data) == {len(plan.fields)}{never} else surplus(data)"
    values = {field.name: _make(field, names[field.name]) for field in plan.fields}
    values |= {name: f"presets[{name!r}]" for name in plan.presets} | {"extra": extra}
    if twin is not None:
        sets = "".join(f"        model.{name} = {value}\n" for name, value in values.items())
        made = f"        model = twin()\n{sets}        model.__class__ = cls\n"
    else:
        sets = "".join(f"        put(model, {name!r}, {value})\n" for name, value in values.items())
        made = f"        model = cls.__new__(cls)\n{sets}"
    source = (
        "def decode(data, _=None):\n"
        # Classes are compared and not tested with isinstance: it is quicker, and a bool is no int that way.
        "  if data.__class__ is dict:\n"
        "    try:\n"
        f"{reads}"
        f"      if True{tests}:\n"
        f"{made}"
        "        return model\n"
        # What is wrong is not looked at here: the careful way finds it again, with its path.
        "    except (LookupError, ValueError, TypeError):\n"
        "      pass\n"
        "  return careful(data)\n"
    )

    dates = [field.wire for field in plan.fields if field.never]

    def surplus(data: dict[str, Any]) -> Extra:
        return Extra(
            {name: value for name, value in data.items() if name not in plan.wire_names},
            never={name: data[name] for name in dates if _never(data[name])},
        )

    def careful(data: object) -> Any:
        found = validate(data, cls)
        if isinstance(found, Issue):
            raise error_for(found)
        return found

    scope: dict[str, Any] = {
        "twin": twin,
        "cls": cls,
        "put": object.__setattr__,
        "presets": plan.presets,
        "empty": EMPTY,
        "surplus": surplus,
        "careful": careful,
        "from_iso": datetime.fromisoformat,
        "parse_datetime": parse_datetime,
        "Secret": Secret,
        "SecretUrl": SecretUrl,
    }
    scope |= {f"of_{kind.__name__}": hook_for(kind) for kind in {field.kind for field in plan.fields} if is_model(kind)}
    exec(compile(source, f"<decoder of {cls.__name__}>", "exec"), scope)  # noqa: S102 - only names from the class
    hook: Hook = scope["decode"]
    return hook


def _twin_of(cls: type[Any]) -> type[Any] | None:
    """Return a class with the layout of this one, or None where Python does not turn the one into the other.

    It has the very slots of the class, and not only those of its fields. One more or less, and every answer would take
    the slow way, as if it were not as documented; so that it works is tried out here.
    """
    twin = type(f"_{cls.__name__}Twin", cls.__bases__, {"__slots__": cls.__slots__})
    try:
        twin().__class__ = cls
    except TypeError:
        return None  # a slot for weak references does that
    return twin


def _never(value: str | None) -> bool:
    return value is not None and is_never(value)


def _test(field: WireField, name: str) -> str:
    """Return the test of a value. That of a model is left to its own decoder, which raises a ValueError."""
    element = "item" if field.many else name
    test = "True" if is_model(field.kind) else _TESTS[field.kind].format(v=element)
    if field.many:
        test = f"{name}.__class__ is list" + ("" if test == "True" else f" and all([{test} for item in {name}])")
    return f"{name} is None or {test}" if field.optional else test


def _make(field: WireField, name: str) -> str:
    element = "item" if field.many else name
    maker = f"of_{field.kind.__name__}({{v}})" if is_model(field.kind) else _MAKERS.get(field.kind, "{v}")
    make = maker.format(v=element)
    if field.many:
        make = f"tuple({name})" if make == element else f"tuple([{make} for item in {name}])"
    absent = f"{name} is None or {NEVER_FORM.format(v=name)}" if field.never else f"{name} is None"
    return f"None if {absent} else {make}" if field.optional and make != name else make


def _to_wire(model: Any) -> dict[str, Any]:
    extra: Extra = model.extra
    absent, never = extra.absent, extra.never
    # In the order of the document and with null and absent told apart, so that what comes back is what was sent.
    wire: dict[str, Any] = {}
    for field in fields_of(type(model)).fields:
        value = getattr(model, field.name)
        if value is None:
            if field.wire in absent:
                continue
            value = never.get(field.wire)
        elif field.many:
            value = [_value_to_wire(item, field.kind) for item in value]
        else:
            value = _value_to_wire(value, field.kind)
        wire[field.wire] = value
    for name, value in extra.items():
        wire[name] = _detached(value)
    return wire


def _value_to_wire(value: Any, kind: type[Any]) -> Any:
    if kind is datetime:
        return wire_text(value)
    if kind is Secret or kind is SecretUrl:
        return HiddenStr(value.reveal())
    if kind is object:
        return _detached(value)
    return _to_wire(value) if is_model(kind) else value


def _detached(value: Any) -> Any:
    """Copy lists and dicts, so that a change in the result does not reach into the frozen model."""
    if isinstance(value, dict):
        return {name: _detached(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_detached(item) for item in value]
    return value


def _strict(kind: type) -> Hook:
    def hook(value: Any, _: Any = None) -> Any:
        made = check_value(value, kind)
        if isinstance(made, Issue):
            raise error_for(made)
        return made

    return hook


def _build() -> cattrs.Converter:
    # Without detailed validation: its exception groups hold the values, which may be secrets or personal data, and
    # our own errors carry the path.
    made = cattrs.Converter(detailed_validation=False)
    # cattrs coerces these by default ("false" becomes True, null "None"): on a bill that is a wrong figure.
    for kind in (str, int, bool, datetime, Secret, SecretUrl):
        made.register_structure_hook(kind, _strict(kind))
    made.register_unstructure_hook(datetime, wire_text)
    # A text that prints as stars, so that the result can be sent and not be logged by mistake.
    for kind in (Secret, SecretUrl):
        made.register_unstructure_hook(kind, lambda secret: HiddenStr(secret.reveal()))
    made.register_structure_hook_factory(is_model, _compile)
    made.register_unstructure_hook_factory(is_model, lambda _: _to_wire)
    return made


converter: Final = _build()
"""Structures and unstructures the models; hooks are compiled on the first use of each class."""

# Beside the converter, whose own way to a hook is longer than this dict, and is gone for every answer.
_hooks: dict[type[Any], Hook] = {}


def hook_for(cls: type[Any]) -> Hook:
    """Return the compiled structure hook of a model class: what a loop over many elements calls."""
    hook = _hooks.get(cls)
    if hook is None:
        hook = _hooks[cls] = converter.get_structure_hook(cls)
    return hook


def decoder_of(cls: type[T]) -> Callable[[Any], T]:
    """Return what makes a model of its JSON object, as :func:`structure` does.

    For whoever decodes often and keeps it: no look-up by class, and no frame of this module, per model.
    """
    decoder: Any = hook_for(cls)  # its second argument is for cattrs, and has a default
    return cast("Callable[[Any], T]", decoder)


def structure(data: object, cls: type[T]) -> T:
    """Make a model from the JSON object of the API.

    Args:
        data: the parsed JSON object.
        cls: a model class.

    Returns:
        The model; fields the class does not know are in its ``extra``.

    Raises:
        DecodeError: a required field is missing or a value has the wrong type; ``path`` and ``expected`` say where
            and what, the value is not shown.
    """
    made: T = hook_for(cls)(data, cls)
    return made


@overload
def structure_list(data: object, cls: type[T], *, lenient: Literal[False] = False) -> list[T]: ...
@overload
def structure_list(data: object, cls: type[T], *, lenient: Literal[True]) -> tuple[list[T], list[Problem]]: ...
def structure_list(data: object, cls: type[T], *, lenient: bool = False) -> list[T] | tuple[list[T], list[Problem]]:
    """Make a list of models from a JSON array of the API.

    Args:
        data: the parsed JSON array.
        cls: a model class.
        lenient: leave out elements that are wrong, and report them, instead of raising for the first.

    Returns:
        The models; in lenient mode a pair of the models and the problems, each an index and its error.

    Raises:
        DecodeError: ``data`` is no array, or, unless lenient, an element is wrong; the path holds its index.
    """
    if not isinstance(data, list):
        raise error_for(Issue("$", "array", kind_of(data)))
    problems: list[Problem] = []
    models = structure_elements(data, cls, problems if lenient else None)
    return (models, problems) if lenient else models


def structure_elements(items: list[Any], cls: type[T], problems: list[Problem] | None, *, base: int = 0) -> list[T]:
    """Make models from consecutive elements of an array.

    Args:
        items: the elements.
        cls: a model class.
        problems: where wrong elements are reported; None to raise for the first.
        base: the index of the first element in the array, for error paths.

    Raises:
        DecodeError: an element is wrong and ``problems`` is None.
    """
    hook = hook_for(cls)
    try:
        # All at once first, and one by one only when that fails: a list without faults pays nothing for knowing
        # indices.
        return [hook(item, cls) for item in items]
    except DecodeError:
        pass
    models: list[T] = []
    for index, item in enumerate(items, base):
        found = validate(item, cls, f"$[{index}]")
        if not isinstance(found, Issue):
            models.append(found)
            continue
        error = error_for(found)
        if problems is None:
            raise error
        problems.append((index, error))
    return models


def unstructure(model: object) -> dict[str, Any]:
    """Return the JSON object of a model, with the names and values of the API.

    Secrets become :class:`~cyclr_async.secret.HiddenStr`: they serialise as the text and print as ``'***'``.
    """
    wire: dict[str, Any] = converter.unstructure(model)
    return wire


def decode(body: bytes | bytearray | str, cls: type[T]) -> T:
    """Make a model from an answer's body.

    Args:
        body: the whole body, UTF-8.
        cls: a model class.

    Raises:
        DecodeError: the body is not JSON, or not an object as the document describes it.
    """
    made: T = hook_for(cls)(strict_json.loads(body), cls)
    return made
