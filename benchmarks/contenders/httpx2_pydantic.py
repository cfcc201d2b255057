"""httpx2 and pydantic."""

from benchmarks.contenders.base import SingleCalls
from benchmarks.contenders.httpx_pydantic import Httpx

__all__ = ["make"]


def make() -> SingleCalls:
    """The contender of this module."""
    return Httpx("httpx2")
