"""Thinned matrices lose nothing: what the default run leaves out is in the stress run."""

from __future__ import annotations

import itertools
from typing import Any

from tests.support.sizes import crossed

LETTERS = {"first": "a", "second": "b", "third": "c", "fourth": "d"}


def rows(mark: Any) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The values of the rows of the default run, and of the stress run."""
    parameters = mark.args[1]
    default = [one.values for one in parameters if not one.marks]
    stress = [one.values for one in parameters if [mark.name for mark in one.marks] == ["stress"]]
    assert len(default) + len(stress) == len(parameters)
    return default, stress


def test_every_value_is_in_the_default_run_and_every_combination_in_one_of_both() -> None:
    mark = crossed(letter=LETTERS, number=[1, 2, 3], flag=[False, True])
    assert mark.args[0] == ("letter", "number", "flag")
    default, stress = rows(mark)
    assert default == [("a", 1, False), ("b", 2, True), ("c", 3, False), ("d", 1, True)]
    assert {*default, *stress} == set(itertools.product("abcd", [1, 2, 3], [False, True]))
    assert len(stress) == 4 * 3 * 2 - 4


def test_rows_are_named() -> None:
    mark = crossed(letter=LETTERS, number=[1, 2])
    assert [one.id for one in mark.args[1]][:3] == ["first-1", "first-2", "second-1"]
