"""Which accounts belong to a period and have no figure in it, and why."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Final, cast

from cyclr_async.usage.months.figures import AccountFacts, Figure
from cyclr_async.usage.months.period_texts import end_of
from cyclr_async.usage.store.rows import utc_text

if TYPE_CHECKING:
    from cyclr_async.usage.months.statement import GapReason
    from cyclr_async.usage.months.statement_period import StatementPeriod
    from cyclr_async.usage.store.month_reader import MonthReader

__all__ = ["Expected", "gap_detail"]

_DETAILS: Final[dict[GapReason, str]] = {
    "gone": "the account list does not name it any more",
    "missing": "the API knows no such account",
    "forbidden": "the API refused to tell",
    "failed": "the call failed",
    "pending": "it was not asked for yet",
    "not_collected": "no run of the period is about it",
    "not_begun": "its period before is not over, so none can have begun",
    "other_period": "it was collected, and its period begins on a day outside of this one",
    "overlapping": "its period overlaps others of the account, which count instead",
    "after_closing": "its figure came when the month was closed already",
}


def gap_detail(reason: GapReason, error: str | None) -> str:
    """Return why in words, with the error that came."""
    return _DETAILS[reason] if not error else f"{_DETAILS[reason]}: {error}"


class Expected:
    """What the runs of a period say of accounts without a figure.

    Args:
        reader: of the store.
        period: of the statement.
        now: the moment, as a stored time.
    """

    def __init__(self, reader: MonthReader, period: StatementPeriod, now: str) -> None:
        self._reader = reader
        self._period = period
        self._now = now

    @cached_property
    def _runs(self) -> list[tuple[int, bool]]:
        period = self._period
        days = period.start.isoformat(), period.end.isoformat()
        return self._reader.runs_of(utc_text(period.begins), utc_text(period.ends), *days)

    def refused(self) -> Iterator[str]:
        """Yield the accounts that some run of the period has no usage of, in order, each once."""
        for account_id, _ in groupby(self._reader.refused([run_id for run_id, _ in self._runs])):
            yield account_id

    def why(
        self, account_id: str, *, observed: bool, last: Figure | None
    ) -> tuple[GapReason, int | None, AccountFacts | None, str | None] | None:
        """Return why an account has no figure; None when none is to be expected.

        Args:
            account_id: the account.
            observed: whether a period of it that begins within was observed, and does not count.
            last: its last figure before.

        Returns:
            the reason, the run that says so, what that run's account list says, and the error that came.
        """
        if observed:
            return "overlapping", None, None, None
        reason: GapReason = "not_collected"
        for run_id, complete in self._runs:
            item = self._reader.item(run_id, account_id)
            if item is None:
                if complete:
                    return "gone", run_id, None, None
                continue
            if item.state != "ok":
                error = ": ".join(part for part in (item.error, item.reason) if part)
                return cast("GapReason", item.state), run_id, item.facts, error
            reason = "other_period"
            break
        if last is None:
            return None  # collected by now, for another time: nothing says that it was there before
        if end_of(last.period_from, last.period_to) > self._now:
            reason = "not_begun"
        return reason, None, None, None
