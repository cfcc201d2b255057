"""What is measured, and how a handful of rounds becomes one figure with its spread."""

import random
import resource
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

__all__ = ["Spread", "cpu_seconds", "paired_ratio", "peak_mib", "percentile", "reset_peak", "rss_mib", "spread"]

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")


@attrs.frozen
class Spread:
    """A median with the quartiles around it."""

    median: float
    low: float
    high: float


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of ``values`` lies; 0.0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of the rounds."""
    return Spread(statistics.median(values), percentile(values, 0.25), percentile(values, 0.75))


def paired_ratio(values: Sequence[float], base: Sequence[float], *, resamples: int = 2000) -> Spread:
    """Median of the ratios of paired rounds, with its 95 % bootstrap interval.

    The rounds of both were taken next to each other, so a slow moment of the machine is in both and cancels.
    """
    ratios = [value / other for value, other in zip(values, base, strict=True) if other]
    generator = random.Random(1)
    medians = sorted(statistics.median(generator.choices(ratios, k=len(ratios))) for _ in range(resamples))
    return Spread(statistics.median(ratios), medians[int(resamples * 0.025)], medians[int(resamples * 0.975)])


def cpu_seconds() -> float:
    """User plus system CPU seconds of this process so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _status(field: str) -> float:
    # ru_maxrss is inherited across fork and exec, so that a small child of a large parent reports the parent's.
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def peak_mib() -> float:
    """The largest resident set of this process since its start or the last ``reset_peak``, in MiB."""
    if _STATUS.exists():
        return _status("VmHWM:")
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def rss_mib() -> float:
    """The resident set of this process now, in MiB; where it cannot be read, the peak."""
    return _status("VmRSS:") if _STATUS.exists() else peak_mib()


def reset_peak() -> None:
    """Start a new peak; without effect where the system has no way to do it."""
    if _CLEAR.exists():
        _CLEAR.write_text("5")
