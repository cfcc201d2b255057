"""Every type of a public signature can be imported from a public module, and ``Any`` stands for JSON alone."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, ForwardRef, get_args, get_origin

import attrs

from cyclr_async import AsyncPartnerSession, Limits, Timeouts
from cyclr_async.config import Region
from cyclr_async.http.resource import Resource
from cyclr_async.simulator import Billing, Holdings
from cyclr_async.usage import UsageStore
from cyclr_async.usage.collect.collection import BulkRun
from cyclr_async.wire.model import Model

PUBLIC = ("cyclr_async", "cyclr_async.v1", "cyclr_async.usage", "cyclr_async.simulator")

# What the package makes for its users, who need not be able to say what goes into it.
MADE_HERE = (Resource, BulkRun, UsageStore, Billing, Holdings)

# Parameters of JSON objects with values of any kind.
JSON = {
    ("Fault.from_dict", "data"),
    ("Finding.__init__", "detail"),
    ("Templates.import_", "exported"),
    ("AccountTemplates.import_", "exported"),
    ("Simulator.__init__", "state"),
    ("CustomConnectors.create", "definition"),
    ("CustomConnectors.update", "definition"),
}


@functools.cache
def namespace(name: str) -> dict[str, Any]:
    """The names of a module for the evaluation of its annotations, those for type checkers only included."""
    module = importlib.import_module(name)
    found = dict(vars(module))
    assert module.__file__ is not None
    for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            code = ast.Module(body=node.body, type_ignores=[])
            exec(compile(code, module.__file__, "exec"), found)
    return found


def hints(thing: Any) -> dict[str, Any]:
    module = inspect.getmodule(thing)
    assert module is not None
    names = namespace(module.__name__)
    # As local names too: a TypedDict looks its annotations up in its module only, where those for type checkers lack.
    return typing.get_type_hints(thing, globalns=names, localns=names, include_extras=True)


def parts(hint: Any) -> Iterator[Any]:
    """A type and every type inside of it."""
    if isinstance(hint, (list, tuple)):  # the arguments of a Callable
        for inner in hint:
            yield from parts(inner)
        return
    assert not isinstance(hint, (str, ForwardRef)), hint
    yield hint
    if get_origin(hint) is not None or isinstance(hint, types.UnionType):
        yield get_origin(hint)
        if get_origin(hint) is not typing.Literal:
            yield from parts(get_args(hint))


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """What of a class can be called or read, by name: methods, properties and what is declared in its body."""
    for base in cls.__mro__:
        if not base.__module__.startswith("cyclr_async"):
            continue
        for name, value in vars(base).items():
            if name.startswith("_") and name != "__init__":
                continue
            if name == "__init__" and issubclass(cls, MADE_HERE):
                continue
            inner = value.fget if isinstance(value, property) else inspect.unwrap(getattr(value, "__func__", value))
            if inspect.isfunction(inner) and inner.__module__.startswith("cyclr_async"):
                yield name, inner
        if "__annotations__" in vars(base):
            yield "", base


def signatures() -> Iterator[tuple[str, str, Any]]:
    """Owner, parameter and type of everything in a public signature."""
    for module in PUBLIC:
        loaded = importlib.import_module(module)
        for name in loaded.__all__:
            value = getattr(loaded, name)
            if inspect.isclass(value):
                for member, function in members(value):
                    owner = f"{name}.{member}".rstrip(".")
                    for parameter, hint in hints(function).items():
                        if not parameter.startswith("_"):
                            yield owner, parameter, hint
            elif inspect.isfunction(value):
                for parameter, hint in hints(value).items():
                    yield name, parameter, hint
            elif get_origin(value) is not None:
                yield name, "", value
    # What a session carries is declared where it is made.
    session = AsyncPartnerSession("token", region=Region.EU)
    for made in (session, session.v1, session.v1.account("id")):
        slots = [name for base in type(made).__mro__ for name in getattr(base, "__slots__", ())]
        for name in (*getattr(made, "__dict__", ()), *slots):
            if not name.startswith("_"):
                yield type(made).__name__, name, type(getattr(made, name))


def reachable() -> set[int]:
    modules = [importlib.import_module(module) for module in PUBLIC]
    return {id(getattr(module, name)) for module in modules for name in module.__all__}


def is_ours(part: Any) -> bool:
    return inspect.isclass(part) and part.__module__.startswith("cyclr_async")


def test_every_type_of_a_public_signature_can_be_imported() -> None:
    known = reachable()
    seen = 0
    hidden = set()
    for owner, parameter, hint in signatures():
        for part in filter(is_ours, parts(hint)):
            seen += 1
            if id(part) not in known:
                hidden.add(f"{part.__module__}.{part.__qualname__}: {parameter} of {owner}")
    assert sorted(hidden) == []
    assert seen > 300


def test_an_option_has_a_type() -> None:
    """``Any`` is for JSON: what a model keeps of an answer, and what is sent or returned as it is."""
    models = {
        name
        for module in map(importlib.import_module, PUBLIC)
        for name in module.__all__
        if inspect.isclass(value := getattr(module, name)) and (issubclass(value, Model) or attrs.has(value))
    }
    loose = {
        (owner, parameter)
        for owner, parameter, hint in signatures()
        if Any in list(parts(hint)) and parameter != "return" and owner.removesuffix(".__init__") not in models
    }
    assert loose - JSON == set()


def test_the_walk_sees_what_is_inside_of_a_type() -> None:
    hint = dict[str, Callable[[Limits], Awaitable[Timeouts | None]]]
    assert {Limits, Timeouts, str} <= {part for part in parts(hint) if inspect.isclass(part)}
    assert Any in list(parts(Callable[..., Any]))
    found = {(owner, parameter) for owner, parameter, _ in signatures()}
    assert {
        ("AsyncPartnerSession", "accounts"),
        ("AsyncPartnerSession.__init__", "clock"),
        ("AsyncPartnerSession.v1", "return"),
        ("Limits.__init__", "connections"),
        ("Progress", "asked"),
        ("UsageStore.open", "clock"),
        ("V1Api", "connectors"),
        ("export_usage", "source"),
    } <= found
