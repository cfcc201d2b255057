"""The old place of the virtual clock."""

from tests.support.clock import VirtualClock

__all__ = ["VirtualClock"]
