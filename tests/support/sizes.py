"""Load tests have two sizes: a small one that every run takes, and the full one behind the marker ``stress``."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

__all__ = ["examples", "few_of", "sized"]


def sized(name: str, small: int, full: int) -> pytest.MarkDecorator:
    """Run the test with ``small``, and with ``full`` under the marker ``stress``."""
    return pytest.mark.parametrize(name, [small, pytest.param(full, marks=pytest.mark.stress)])


def few_of(name: str, values: Iterable[object], *, few: int) -> pytest.MarkDecorator:
    """Run the test with the first ``few`` values, and with the others under the marker ``stress``."""
    listed = list(values)
    rest = [pytest.param(value, marks=pytest.mark.stress) for value in listed[few:]]
    return pytest.mark.parametrize(name, [*listed[:few], *rest])


def examples(small: int, full: int) -> int:
    """How many examples hypothesis tries: ``small``, or ``full`` with ``CYCLR_TEST_SIZE=full`` in the environment."""
    return full if os.environ.get("CYCLR_TEST_SIZE") == "full" else small
