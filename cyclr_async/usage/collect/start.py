"""Making a collection: the arguments that every API takes, checked in one place."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from datetime import date, timedelta
from os import PathLike
from typing import Any, Final, TypeVar

import attrs

from cyclr_async.checks import shown
from cyclr_async.config import RetryPolicy
from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.resource import Sender
from cyclr_async.http.retry import RetryStrategy
from cyclr_async.usage.collect.api import UsageApi
from cyclr_async.usage.collect.collection import BulkRun, check_ids
from cyclr_async.usage.collect.fan_out import FanOut, Origin
from cyclr_async.usage.collect.opening import Identify, StorePlan, check_store_options
from cyclr_async.usage.collect.progress import ProgressHook
from cyclr_async.usage.store.store import UsageStore

__all__ = ["BULK_TIMEOUT", "ONE_ATTEMPT", "CollectOptions", "start"]

ONE_ATTEMPT: Final = RetryStrategy(RetryPolicy(attempts=1, retry_after_cap=900.0), budget=None)
"""A bulk run repeats by itself, because it knows about outages; it bears longer pauses than an interactive call."""
BULK_TIMEOUT: Final = 3600.0
"""Seconds for one account, pauses and queueing included; an attempt is bounded by ``Timeouts.attempt``."""

RunT = TypeVar("RunT", bound=BulkRun[Any])


@attrs.frozen(kw_only=True)
class CollectOptions:
    """The arguments of ``collect_usage`` that mean the same for every API, as the caller gave them."""

    concurrency: int | None
    store: UsageStore | str | PathLike[str] | None
    on_progress: ProgressHook | None
    max_outage: float
    passes: int
    resume: bool | None
    max_age: timedelta | float
    fan_out: FanOut | None = None


def start(
    kind: type[RunT],
    api: UsageApi[Any],
    account_ids: Iterable[Any] | AsyncIterable[Any] | None,
    options: CollectOptions,
    *,
    sender: Sender,
    partner: str | None,
    identify: Identify,
    from_date: date | None = None,
) -> RunT:
    """Return a collection that has sent nothing yet.

    Args:
        kind: what is returned.
        api: that is asked.
        account_ids: of the caller, or None for every account.
        options: further arguments of the caller.
        sender: of the session, for its clock and limits.
        partner: as the caller names it, or None.
        identify: tells whose data the session sees.
        from_date: of the collection.

    Raises:
        InvalidArgumentError: an argument cannot be valid.
    """
    age = check_store_options(options.store, options.resume, options.max_age)
    if options.on_progress is not None and not callable(options.on_progress):
        raise InvalidArgumentError(f"on_progress must be a function, not {type(options.on_progress).__name__}")
    fan_out = options.fan_out
    if fan_out is not None and not isinstance(fan_out, FanOut):
        raise InvalidArgumentError(f"fan_out must be a FanOut, not {type(fan_out).__name__}: FanOut(executor=...)")
    concurrency = _concurrency(options.concurrency, sender.limits.connections)
    passes, max_outage = options.passes, options.max_outage
    if type(passes) is not int or passes < 0:
        raise InvalidArgumentError(f"passes must be a whole number, 0 or more; got {shown(passes)}")
    number = isinstance(max_outage, (int, float)) and not isinstance(max_outage, bool)
    if not number or not max_outage >= 0:  # also refuses NaN
        raise InvalidArgumentError(
            f"max_outage must be a number of seconds, 0 or more, or math.inf; got {shown(max_outage)}"
        )
    if account_ids is not None:
        check_ids(account_ids)
    plan = None
    if options.store is not None:
        plan = StorePlan(
            store=options.store,
            api=api,
            partner=partner,
            identify=identify,
            from_date=from_date,
            source=account_ids,
            resume=options.resume,
            max_age=age,
            clock=sender.clock,
            max_outage=max_outage,
        )
    return kind(
        api,
        account_ids,
        origin=Origin(identify, partner),
        clock=sender.clock,
        concurrency=concurrency,
        plan=plan,
        on_progress=options.on_progress,
        max_outage=max_outage,
        passes=passes,
        from_date=from_date,
        fan_out=fan_out,
    )


def _concurrency(asked: int | None, connections: int) -> int:
    if asked is None:
        return min(32, connections)
    if type(asked) is not int or asked < 1:
        raise InvalidArgumentError(f"concurrency must be a whole number, 1 or more; got {shown(asked)}")
    return asked
