"""Load tests have two sizes: a small one that every run takes, and the full one behind the marker ``stress``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Mapping

import pytest

__all__ = ["crossed", "examples", "few_of", "sized"]


def sized(name: str, small: int, full: int) -> pytest.MarkDecorator:
    """Run the test with ``small``, and with ``full`` under the marker ``stress``."""
    return pytest.mark.parametrize(name, [small, pytest.param(full, marks=pytest.mark.stress)])


def few_of(name: str, values: Iterable[object], *, few: int) -> pytest.MarkDecorator:
    """Run the test with the first ``few`` values, and with the others under the marker ``stress``."""
    listed = list(values)
    rest = [pytest.param(value, marks=pytest.mark.stress) for value in listed[few:]]
    return pytest.mark.parametrize(name, [*listed[:few], *rest])


def crossed(**dimensions: Mapping[str, object] | Collection[object]) -> pytest.MarkDecorator:
    """Run the test with every value of every dimension once, and with all other combinations under ``stress``.

    For dimensions that have nothing to do with each other: what one of them breaks, it breaks with most values of the
    others. A mapping gives names to its values.
    """
    named = [
        list(values.items()) if isinstance(values, Mapping) else [(str(value), value) for value in values]
        for values in dimensions.values()
    ]
    longest = max(len(values) for values in named)
    # Along the diagonal, as many rows as the longest dimension has values; the others begin anew at their end.
    default = {tuple(number % len(values) for values in named) for number in range(longest)}
    rows = [
        pytest.param(
            *(values[at][1] for values, at in zip(named, places, strict=True)),
            marks=() if places in default else pytest.mark.stress,
            id="-".join(values[at][0] for values, at in zip(named, places, strict=True)),
        )
        for places in itertools.product(*(range(len(values)) for values in named))
    ]
    return pytest.mark.parametrize(tuple(dimensions), rows)


def examples(small: int, full: int) -> int:
    """How many examples hypothesis tries: ``small``, or ``full`` with ``CYCLR_TEST_SIZE=full`` in the environment."""
    return full if os.environ.get("CYCLR_TEST_SIZE") == "full" else small
