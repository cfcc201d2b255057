"""This package with its ``speed`` extra: the same calls, orjson where the default has stdlib JSON."""

import orjson

from benchmarks.contenders.base import SingleCalls
from benchmarks.contenders.cyclr import Cyclr

__all__ = ["make"]


def make() -> SingleCalls:
    """The contender of this module."""
    assert orjson.loads(b"1") == 1
    return Cyclr()
