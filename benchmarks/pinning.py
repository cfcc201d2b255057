"""Which core runs what: clients on the first core allowed to us, the server on the last."""

import os

__all__ = ["client_core", "pin", "server_core"]


def _cores() -> list[int]:
    # macOS and Windows have no affinity call: there the scheduler decides, and the report says so.
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def client_core() -> int | None:
    """The core of the clients, or None where a core of its own cannot be had."""
    cores = _cores()
    return cores[0] if len(cores) > 1 else None


def server_core() -> int | None:
    """The core of the load server, or None where a core of its own cannot be had."""
    cores = _cores()
    return cores[-1] if len(cores) > 1 else None


def pin(core: int | None) -> None:
    """Bind this process to one core; None leaves it to the scheduler."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
