"""What ``cyclr_async.usage`` promises: every name is there, and so is every type of its signatures."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

import cyclr_async.usage as usage

MODULES = [found.name for found in pkgutil.walk_packages(usage.__path__, f"{usage.__name__}.")]
HOMES = {name: module for module in MODULES for name in getattr(import_module(module), "__all__", ())}
BUILT_BY_OTHERS = {("Collection", "__init__")}  # made by Accounts.collect_usage(), as its docstring says


def signatures(name: str) -> Iterator[tuple[str, str]]:
    """The annotations of a public function, or of the fields and public methods of a public class, as they stand."""
    value = getattr(usage, name)
    if not inspect.isclass(value):
        yield from ((name, str(found)) for found in getattr(value, "__annotations__", {}).values())
        return
    yield from ((name, str(found)) for field, found in value.__annotations__.items() if not field.startswith("_"))
    for method, member in vars(value).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if (method.startswith("_") and method != "__init__") or (name, method) in BUILT_BY_OTHERS:
            continue
        yield from ((f"{name}.{method}", str(found)) for found in getattr(function, "__annotations__", {}).values())


def test_all_is_sorted_and_importable() -> None:
    # Constants, classes, functions: the order that the linter asks for.
    assert usage.__all__ == sorted(
        set(usage.__all__), key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert dir(usage) == sorted(usage.__all__)
    for name in usage.__all__:
        assert getattr(usage, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        usage.Nonsense  # noqa: B018


@pytest.mark.parametrize("name", [name for name in usage.__all__ if callable(getattr(usage, name))])
def test_every_type_of_a_signature_is_public(name: str) -> None:
    used = {
        word
        for where, annotation in signatures(name)
        if not where.endswith((".__init__",)) or name != "UsageStore"  # opened by open()
        for word in re.findall(r"\b[A-Z]\w+", annotation)
    }
    assert {word for word in used if word in HOMES} - set(usage.__all__) == set()


def test_the_rule_sees_a_type_that_is_hidden() -> None:
    found = {word for _, text in signatures("UsageStore") for word in re.findall(r"\b[A-Z]\w+", text)}
    assert {"Registered", "UsageOutcome", "FinalStatus"} <= found
    assert {"WriterThread", "AccountFetcher"} <= set(HOMES)
