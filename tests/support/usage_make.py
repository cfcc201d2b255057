"""Models and outcomes for the tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime

from cyclr_async.errors import CyclrError, ServerError
from cyclr_async.http.clock import SystemClock
from cyclr_async.partner import Account, AccountUsage
from cyclr_async.usage.collect.outcome import UsageOutcome

OCTOBER, NOVEMBER = "2026-10-01T00:00:00", "2026-11-01T00:00:00"
SEEN = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


class At(SystemClock):
    """A clock whose calendar stands still."""

    def __init__(self, moment: datetime = SEEN) -> None:
        self.moment = moment

    def wall(self) -> float:
        return self.moment.timestamp()


def account(account_id: str, name: str = "Demo", plan: int | None = 2) -> Account:
    return Account.from_dict({"Id": account_id, "Name": name, "PricePlanId": plan, "AuditInfo": "audit", "Later": [1]})


def good(
    account_id: str,
    tasks: int = 7,
    *,
    start: str = OCTOBER,
    end: str = NOVEMBER,
    seen: datetime = SEEN,
    plan: int | None = 3,
    listed: Account | None = None,
) -> UsageOutcome:
    data = {"TaskCount": tasks, "CycleCount": 2, "FromDate": start, "ToDate": end, "CurrentPricePlanId": plan}
    usage = AccountUsage.from_dict(data)
    return UsageOutcome(account_id=account_id, usage=usage, attempts=1, collected_at=seen, account=listed)


def bad(account_id: str, error: CyclrError | None = None, *, attempts: int = 3) -> UsageOutcome:
    found = error or ServerError("the server failed", status=500)
    return UsageOutcome(account_id=account_id, error=found, attempts=attempts, collected_at=SEEN)
