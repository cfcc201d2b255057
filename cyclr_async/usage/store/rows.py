"""What the store takes and gives: plain values between the models and the tables."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from cyclr_async.errors import CyclrError, ForbiddenError, InvalidArgumentError, NotFoundError, ResponseError
from cyclr_async.http.classify import Concern, classify
from cyclr_async.usage.months.periods import period_end_text
from cyclr_async.usage.store.api_rows import API_ROWS, PARTNER_API, ApiRows, Listed, rows_of
from cyclr_async.wire.text import scrub

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cyclr_async.partner import Account
    from cyclr_async.usage.collect.outcome import Outcome

__all__ = [
    "ALL_IDS",
    "COLUMNS",
    "LAZY_IDS",
    "TREE_IDS",
    "UNLISTED",
    "Counts",
    "FinalStatus",
    "ItemRow",
    "PendingAccount",
    "RunInfo",
    "RunScope",
    "State",
    "UsageRow",
    "account_columns",
    "ids_digest",
    "item_row",
    "moment",
    "row_of_outcome",
    "short_utc_text",
    "state_of",
    "stored_id",
    "usage_row",
    "utc_text",
]

State: TypeAlias = Literal["pending", "ok", "missing", "forbidden", "failed"]
"""Of one account in a run: still to be asked, collected, no such account (404), not allowed (403), any other error."""

FinalStatus: TypeAlias = Literal["complete", "partial", "interrupted", "abandoned"]
"""How a run ended. ``partial`` and ``interrupted`` runs can be resumed; the others cannot."""

# No digest of ids looks like these words, so the three cases share a column.
ALL_IDS: Final = "all"
TREE_IDS: Final = "tree"
LAZY_IDS: Final = "lazy"
_INT64: Final = 2**63
"""What an INTEGER of SQLite holds; Python and JSON know no such limit."""
_REASON_LIMIT: Final = 500
"""Characters of a reason that are kept: a page in an error body would otherwise be stored for every account."""


@attrs.frozen
class RunScope:
    """What a run collects; a run is resumed only for the same scope.

    Args:
        base_url: origin and path of the API, such as ``"https://my.cyclr.com/api/partner"``.
        partner: the name of the partner; not a secret, and not bound to a credential.
        from_date: the ``fromDate`` asked for, or None for the time since each account's last bill.
        ids: which accounts: ``"all"`` for every account of the partner, ``"lazy"`` for ids that are pulled one by one,
            ``"n:digest"`` for n ids that were given as a whole, or None where nobody has said it yet. ``"tree"`` for
            every account together with its sub-accounts, where the list leaves those out.
        api: over which API: ``"partner"`` or ``"v1"``.
    """

    base_url: str
    partner: str
    from_date: date | None = None
    ids: str | None = None
    api: str = PARTNER_API

    def __attrs_post_init__(self) -> None:
        # A datetime is a date to isinstance, and would make a scope that no other run has.
        if isinstance(self.from_date, datetime):
            raise InvalidArgumentError("from_date is a date, not a datetime")
        if self.api not in API_ROWS:
            raise InvalidArgumentError(f"api must be {' or '.join(API_ROWS)}; got {self.api!r}")


@attrs.frozen
class Counts:
    """How far a run is: ``ok + missing + forbidden + failed + pending == asked``, always."""

    asked: int = 0
    ok: int = 0
    missing: int = 0
    forbidden: int = 0
    failed: int = 0

    @property
    def pending(self) -> int:
        """Accounts not asked yet."""
        return self.asked - self.ok - self.missing - self.forbidden - self.failed


@attrs.frozen
class PendingAccount:
    """An account without a usage in this run yet.

    Attributes:
        account_id: its id.
        account: the account as listed, or None when only its id was registered.
        attempts: HTTP attempts made for it so far.
        parent_account_id: whose sub-account it is, where that is known.
    """

    account_id: str
    account: Account | None
    attempts: int
    parent_account_id: str | None = None


@attrs.frozen
class RunInfo:
    """One run of a store. Times are UTC.

    Attributes:
        oldest_at: when the oldest figure of the run was observed; None without figures. Of a run under way it may be
            older than the true one, never younger.
    """

    run_id: int
    scope: RunScope
    status: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    listing_complete: bool
    counts: Counts
    oldest_at: datetime | None = None

    def age(self, now: datetime) -> timedelta:
        """Return how long ago, at that moment, the run began or its oldest figure was observed.

        Times that lie ahead count like those that lie back: a figure from another time is none of this time.
        """
        # Both, because a run may begin with figures taken over from an older one.
        times = (self.created_at, self.oldest_at or self.created_at)
        return max(abs(now - moment) for moment in times)

    @property
    def resumable(self) -> bool:
        """Whether the run is unfinished."""
        return self.status in {"running", "interrupted", "partial"}


@attrs.frozen
class UsageRow:
    """One line of an export: an account of a run, or one observation of it. Times are texts, ISO-8601 in UTC.

    ``provisional`` is True when the figures were observed before their period was over, None without figures; a
    period is over a day after ``period_to``, when the next one begins.

    ``api`` is the API that was asked, ``"partner"`` or ``"v1"``. What the v1.0 API does not say is None:
    ``cycle_count`` and ``price_plan_id``. What only that API says is None for the partner API: ``api_id`` (the id by
    which v1.0 knows the account), ``parent_account_id`` (whose sub-account it is) and ``task_audit_info``.
    """

    run_id: int
    account_id: str
    account_name: str | None
    state: str
    period_from: str | None
    period_to: str | None
    task_count: int | None
    cycle_count: int | None
    price_plan_id: int | None
    audit_info: str | None
    observed_at: str | None
    provisional: bool | None
    attempts: int
    error: str | None
    reason: str | None
    api: str = PARTNER_API
    api_id: str | None = None
    parent_account_id: str | None = None
    task_audit_info: str | None = None


COLUMNS: Final = tuple(field.name for field in attrs.fields(UsageRow))
"""The columns of every export, in order. Names are stable; new ones are added at the end."""


@attrs.define
class ItemRow:
    """What :meth:`UsageStore.record` hands to the writer thread."""

    account_id: str
    state: State
    attempts: int
    updated_at: str
    error: str | None
    reason: str | None
    observation: tuple[object, ...] | None
    account: tuple[object, ...] | None


def ids_digest(ids: Iterable[object]) -> str:
    """Return what tells one set of account ids from another: ``"n:digest"``, whatever their order and repetition.

    What cannot be an account id is left out: it is refused, and no store has it.
    """
    # By id and not by position: the same customers in another order are the same run.
    seen: set[str] = set()
    total = 0
    for entry in ids:
        account_id = getattr(entry, "id", entry)
        if isinstance(account_id, str) and account_id and account_id not in seen:
            seen.add(account_id)
            # A sum needs no order, and so no sorted copy of millions of ids.
            # 16 bytes: two sets of ids do not meet by chance.
            found = hashlib.blake2b(stored_id(account_id).encode("utf-8"), digest_size=16).digest()
            total = (total + int.from_bytes(found, "big")) % (1 << 128)
    return f"{len(seen)}:{total:032x}"


def moment(seconds: float) -> datetime:
    """Return the time of a clock's ``wall()`` seconds, aware, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def utc_text(moment: datetime) -> str:
    """Return a time of fixed width in UTC, so that the order of texts is the order of times."""
    # Cut off and not replaced: replace() of a datetime that remembers its text is slow, and this runs for every figure.
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def short_utc_text(text: str) -> str:
    """Drop the fraction of a stored time when it is zero."""
    # Whole seconds are what the API says; the zeros are only there for the order of texts. A slice, as this runs for
    # every time of every row.
    return text[:-8] + "Z" if text[-8:] == ".000000Z" else text


# ASCII with escapes: the one form in which even a lone surrogate survives unchanged. One encoder for all rows, since
# json.dumps with separators of its own makes a new one for each, and this runs twice for every account.
_json: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def _fits(value: int | None) -> bool:
    return value is None or -_INT64 <= value < _INT64


def _text(value: str | None) -> str | None:
    return None if value is None else scrub(value)


def stored_id(account_id: str) -> str:
    """Return the id as it is stored: itself, with lone surrogates written out so that no two ids become one."""
    # backslashreplace and not U+FFFD, which would make one account of two, and one bill.
    return account_id if account_id.isascii() else account_id.encode("utf-8", "backslashreplace").decode("utf-8")


def account_columns(entry: Any, rows: ApiRows) -> tuple[object, ...]:
    """Return name, plan, audit info and the whole account as JSON, and what is kept of it beyond a run.

    Args:
        entry: an account of the API, or a :class:`Listed` one.
        rows: how rows of the API are filled.
    """
    account, parent, document = entry, None, None
    if isinstance(entry, Listed):
        account, parent, document = entry.account, entry.parent_account_id, entry.document
    name, plan, audit_info, task_audit_info = rows.listed(account)
    return (
        _text(name),
        plan if _fits(plan) else None,
        _text(audit_info),
        _json(account.to_dict() if document is None else document),
        None if parent is None else stored_id(parent),
        _text(task_audit_info),
    )


UNLISTED: Final = (None,) * 6
"""What :func:`account_columns` is for an account of which only the id is known."""


def item_row(outcome: Outcome[Any, Any], run_id: int, *, registered: bool = False) -> ItemRow:
    """Turn an outcome into what is written for it; a usage that no column can hold becomes a failure that says so."""
    account_id = stored_id(outcome.account_id)
    collected = utc_text(outcome.collected_at)
    api = rows_of(outcome.api)
    account = None
    if outcome.account is not None and not registered:
        parent = outcome.parent_account_id
        entry = outcome.account if parent is None else Listed(outcome.account, parent)
        account = account_columns(entry, api)
    if outcome.usage is None:
        assert outcome.error is not None
        code, reason = _described(outcome.error)
        state = state_of(outcome.error)
        return ItemRow(account_id, state, outcome.attempts, collected, code, reason, None, account)
    said = api.figures(outcome.usage)
    if said.period_from is None or said.period_to is None:
        # Without a period a figure belongs to no month, and nobody can be billed by it.
        reason = "the answer does not say which period it is about"
        return ItemRow(account_id, "failed", outcome.attempts, collected, "NoPeriod", reason, None, account)
    try:
        period = utc_text(said.period_from), utc_text(said.period_to)
        fits = _fits(said.task_count) and _fits(said.cycle_count) and _fits(said.price_plan_id)
    # A date in the year 1 or 9999 with an offset: there is no such moment in UTC.
    except OverflowError:
        fits = False
    if not fits:
        reason = "a number or a time in the answer is beyond what a store can hold"
        return ItemRow(account_id, "failed", outcome.attempts, collected, "OutOfRange", reason, None, account)
    observation = (
        account_id,
        period[0],
        collected,
        run_id,
        period[1],
        said.task_count,
        said.cycle_count,
        said.price_plan_id,
        _text(said.audit_info),
        _json(outcome.usage.to_dict()),
    )
    return ItemRow(account_id, "ok", outcome.attempts, collected, None, None, observation, account)


def usage_row(  # noqa: PLR0917 - one for each column that is read, in the order of the query
    run_id: int,
    account_id: str,
    state: str,
    attempts: int,
    error: str | None,
    reason: str | None,
    account_name: str | None,
    account_plan_id: int | None,
    account_audit_info: str | None,
    period_from: str | None = None,
    period_to: str | None = None,
    observed_at: str | None = None,
    task_count: int | None = None,
    cycle_count: int | None = None,
    price_plan_id: int | None = None,
    audit_info: str | None = None,
    api: str = PARTNER_API,
    parent_account_id: str | None = None,
    task_audit_info: str | None = None,
) -> UsageRow:
    """Make the row of an account from what the tables hold of it: the one place where a row is made.

    A row that is streamed while a run goes on, and a row that is read from the store later, are the same.

    Args:
        run_id: the run.
        account_id: as it is stored.
        state: of the account in the run.
        attempts: HTTP attempts.
        error: what it failed with.
        reason: the same in words.
        account_name: from the account list.
        account_plan_id: from the account list.
        account_audit_info: from the account list.
        period_from: of the observation, as are all that follow; None without one.
        period_to: of full width, as all times here: they are compared as texts.
        observed_at: when the answer came.
        task_count: tasks of the period.
        cycle_count: the maximum of cycles.
        price_plan_id: if the usage names one; it is newer than that of the list.
        audit_info: the same.
        api: that was asked.
        parent_account_id: from the account list, as is what follows.
        task_audit_info: of the account.
    """
    # Texts of full width are compared: the fraction is dropped after that.
    end = period_end_text(period_from, period_to)
    return UsageRow(
        run_id=run_id,
        account_id=account_id,
        account_name=account_name,
        state=state,
        period_from=_short(period_from),
        period_to=_short(period_to),
        task_count=task_count,
        cycle_count=cycle_count,
        price_plan_id=account_plan_id if price_plan_id is None else price_plan_id,
        audit_info=account_audit_info if audit_info is None else audit_info,
        observed_at=_short(observed_at),
        provisional=None if observed_at is None or end is None else observed_at < end,
        attempts=attempts,
        error=error,
        reason=reason,
        api=api,
        api_id=account_id if rows_of(api).has_api_id else None,
        parent_account_id=parent_account_id,
        task_audit_info=task_audit_info,
    )


def _short(text: str | None) -> str | None:
    return None if text is None else short_utc_text(text)


def row_of_outcome(outcome: Outcome[Any, Any], run_id: int) -> UsageRow:
    """Return the row that an export of the store will have for an outcome, before it is read back.

    ``attempts`` are those of this collection; the store adds those of an earlier part of the run.
    """
    item = item_row(outcome, run_id)
    # The whole documents as JSON are no part of a row.
    name, plan, audit, _, parent, task_audit = UNLISTED if item.account is None else item.account
    observation: tuple[Any, ...] = (None,) * 7
    if item.observation is not None:
        _, start, seen, _, end, tasks, cycles, own_plan, own_audit, _ = item.observation
        observation = start, end, seen, tasks, cycles, own_plan, own_audit
    listed: tuple[Any, ...] = name, plan, audit
    known: tuple[Any, ...] = outcome.api, parent, task_audit
    whose = run_id, item.account_id, item.state, item.attempts, item.error, item.reason
    return usage_row(*whose, *listed, *observation, *known)


def state_of(error: CyclrError) -> Literal["missing", "forbidden", "failed"]:
    """Return the state of an account that ended with an error; one that the API did not write makes nobody missing."""
    if classify(error) is Concern.ACCOUNT:
        if isinstance(error, NotFoundError):
            return "missing"
        if isinstance(error, ForbiddenError):
            return "forbidden"
    return "failed"


def _described(error: CyclrError) -> tuple[str, str]:
    name = type(error).__name__
    code = f"{name}({error.status})" if isinstance(error, ResponseError) else name
    return code, scrub(error.message)[:_REASON_LIMIT]
