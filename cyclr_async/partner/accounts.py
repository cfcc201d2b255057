"""Accounts and their usage."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from yarl import URL

from cyclr_async.checks import shown
from cyclr_async.errors import (
    CyclrError,
    DecodeError,
    DesynchronizedError,
    InvalidArgumentError,
    OutcomeUnknownError,
)
from cyclr_async.http.request import Request, Safety
from cyclr_async.http.resource import (
    ListReader,
    PartnerSource,
    Resource,
    Sender,
    body_of,
    id_of,
    required,
    rest_of,
    text,
)
from cyclr_async.partner.account import Account
from cyclr_async.partner.account_usage import AccountUsage
from cyclr_async.wire.converter import decoder_of
from cyclr_async.wire.dates import format_date, format_datetime
from cyclr_async.wire.segments import bare_id, segment
from cyclr_async.wire.stream import ListDecoder
from cyclr_async.wire.unset import UNSET, Unset

if TYPE_CHECKING:
    from os import PathLike

    from cyclr_async.usage.collect.collection import Collection
    from cyclr_async.usage.collect.fan_out import FanOut
    from cyclr_async.usage.collect.progress import ProgressHook
    from cyclr_async.usage.store.store import UsageStore

__all__ = ["Accounts"]

BadRecordHook = Callable[[int, DecodeError], object]
_DAY = timedelta(hours=24)
"""As :data:`cyclr_async.usage.store.runs.MAX_AGE`, which is loaded for bulk work only."""


class Accounts(Resource):
    """The accounts of the partner.

    Args:
        sender: carries the calls.
        root: the root of the partner API.
        source: tells whose accounts they are, for stores.
    """

    __slots__ = ("_accounts_path", "_decode_usage", "_source")

    def __init__(self, sender: Sender, root: URL, source: PartnerSource) -> None:
        super().__init__(sender, root)
        self._source = source
        # Once and not for each account: a bulk run makes millions of requests of the same kind.
        self._accounts_path = f"{self._path}/accounts"
        self._decode_usage = decoder_of(AccountUsage)

    async def list(
        self, *, on_bad_record: BadRecordHook | None = None, timeout: float | None = None
    ) -> builtins.list[Account]:
        """Return every account of the partner, in the server's order. For more than 100,000, see :meth:`iter`.

        Args:
            on_bad_record: called with the index and the error of every account that cannot be decoded; those are left
                out. Without it the first such account is an error.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            DecodeError: an account is not as documented; ``path`` names it.
            ResponseTooLargeError: more accounts than ``Limits.list_items``, or than fit into ``Limits.list_bytes``.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *List Accounts*, ``GET accounts``.
        """
        _function(on_bad_record, "on_bad_record")
        call: Request[builtins.list[Account]] = Request(
            name="accounts.list",
            method="GET",
            url=self._url("accounts"),
            safety=Safety.SAFE,
            # A new one for each attempt: a list that broke off begins anew.
            reader=lambda: ListReader(Account, "accounts.list", self._sender.limits, on_bad_record),
        )
        return await self._sender.send(call, timeout)

    async def iter(
        self, *, on_bad_record: BadRecordHook | None = None, timeout: float | None = None
    ) -> AsyncGenerator[Account, None]:
        """Yield every account while the list arrives: the first at once, in flat memory.

        When the connection breaks within the list, the error comes after the accounts that had arrived, and the list is
        not asked for again, because that would yield them twice. To leave early, use :func:`contextlib.aclosing`, so
        that the connection is dropped at once.

        Args:
            on_bad_record: as for :meth:`list`.
            timeout: seconds for everything that is waited for: queueing, token, retries, and the list to its end. The
                time that your own loop takes between two accounts is not counted. When None, ``Timeouts.deadline`` is
                for the way to the beginning of the list, and ``Limits.list_pace`` for the rest.

        Raises:
            TruncatedResponseError: the list broke off.
            ReadTimeoutError: the list stalled (``Timeouts.read``), or arrived too slowly (``Limits.list_pace``).
            DeadlineExceededError: ``timeout`` is over.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *List Accounts*, ``GET accounts``.
        """
        _function(on_bad_record, "on_bad_record")
        call: Request[object] = Request(
            name="accounts.list",
            method="GET",
            url=self._url("accounts"),
            safety=Safety.SAFE,
            reader=lambda: ListReader(Account, "accounts.list", self._sender.limits),
        )
        # Here and not in the call's reader: this list is handed out while it arrives, and never begun anew.
        decoder = ListDecoder(Account, lenient=on_bad_record is not None)
        async with self._sender.stream(call, timeout) as stream:
            async for chunk in stream.chunks():
                for account in decoder.feed(chunk):
                    yield account
                _report(decoder, on_bad_record)
            for account in rest_of(decoder):
                yield account
            _report(decoder, on_bad_record)

    async def create(
        self,
        *,
        name: str,
        description: str | Unset | None = UNSET,
        timezone: str | Unset | None = UNSET,
        price_plan_id: int | Unset | None = UNSET,
        next_bill_date: datetime | Unset | None = UNSET,
        audit_info: str | Unset | None = UNSET,
        reconcile: bool = False,
        timeout: float | None = None,
    ) -> str:
        """Create an account and return its id.

        The call is never repeated when it is not known whether it was carried out, because the API would create a
        second account. With ``reconcile=True`` a unique marker is appended to ``AuditInfo``; when the outcome is
        unknown, the accounts are listed and the one with the marker is taken. Limits: the marker stays in
        ``AuditInfo``; the whole account list is read, though not kept; and an account that is still being created at
        that moment is not found, in which case :class:`OutcomeUnknownError` is raised with the marker to look for
        later.

        Args:
            name: not empty.
            description: free text.
            timezone: an IANA name such as ``"Europe/London"``.
            price_plan_id: see ``priceplans.list``.
            next_bill_date: sent as UTC in whole seconds; a time without zone is taken as UTC.
            audit_info: free text for the partner's own reference; the usage answer repeats it.
            reconcile: look the account up when the outcome is unknown.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            OutcomeUnknownError: the account may have been created.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *Create Account*, ``POST createaccount``. That only ``Name`` is required is assumed.
        """
        if not isinstance(reconcile, bool):
            raise InvalidArgumentError(f"reconcile must be True or False; got {shown(reconcile)}")
        marker = f"[cyclr-async:{secrets.token_hex(8)}]" if reconcile else None
        if marker is not None:
            audit_info = f"{audit_info} {marker}" if isinstance(audit_info, str) and audit_info else marker
        required(name, "name")
        text(name, "name")
        fields = _fields(name, description, timezone, price_plan_id, next_bill_date, audit_info)
        call = Request(
            name="accounts.create",
            method="POST",
            # The verb is part of the path, as in the document; updates have a path of their own kind.
            url=self._url("createaccount"),
            safety=Safety.UNSAFE,
            body=body_of(fields),
            decode=id_of,
            advice="look for the account by its name or AuditInfo before creating it again, or use reconcile=True",
        )
        if marker is None:
            return await self._sender.send(call, timeout)
        # Looked for after this, and not within, so that an error of the lookup does not hide the one that it is about.
        try:
            return await self._sender.send(call, timeout)
        except OutcomeUnknownError as error:
            unknown = error
        return await self._reconciled(marker, unknown)

    async def _reconciled(self, marker: str, unknown: OutcomeUnknownError) -> str:
        unknown.marker = marker
        lookup: Request[str | None] = Request(
            name="accounts.list",
            method="GET",
            url=self._url("accounts"),
            safety=Safety.SAFE,
            reader=lambda: _MarkerSearch(marker),
        )
        try:
            # With a deadline of its own: the one of the call may be what has run out.
            found = await self._sender.send(lookup, None)
        except CyclrError as error:
            unknown.add_note(f"the lookup of the marker failed too: {error}")
            found = None
        if found is None:
            raise unknown
        return found

    async def update(
        self,
        account_id: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        timezone: str | Unset | None = UNSET,
        price_plan_id: int | Unset | None = UNSET,
        next_bill_date: datetime | Unset | None = UNSET,
        audit_info: str | Unset | None = UNSET,
        timeout: float | None = None,
    ) -> str:
        """Change an account and return its id. What is not named stays untouched; ``None`` is sent as null.

        The call sets a state, so it is repeated after a failure, for ``RetryPolicy.write_window`` seconds at most.

        Args:
            account_id: the account.
            name: not empty.
            description: free text; may be empty.
            timezone: an IANA name such as ``"Europe/London"``.
            price_plan_id: see ``priceplans.list``.
            next_bill_date: sent as UTC in whole seconds; a time without zone is taken as UTC.
            audit_info: free text for the partner's own reference.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: an argument cannot be valid, or nothing was to be changed; nothing was sent.
            NotFoundError: no such account.
            DesynchronizedError: the answers name another account.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *Update Account*, ``PUT accounts/{AccountId}``.
        """
        url = self._url(f"accounts/{segment(account_id)}")
        text(name, "name")
        fields = _fields(name, description, timezone, price_plan_id, next_bill_date, audit_info)
        if all(value is UNSET for value in fields.values()):
            raise InvalidArgumentError("nothing to update: name at least one field")
        call = Request(
            name="accounts.update",
            method="PUT",
            url=url,
            safety=Safety.REPEATABLE,
            body=body_of(fields),
            decode=_same_id(account_id),
        )
        return await self._sender.send(call, timeout)

    async def usage(
        self, account_id: str, *, from_date: date | None = None, timeout: float | None = None
    ) -> AccountUsage:
        """Return the tasks and the highest number of cycles that an account used in a monthly period.

        Args:
            account_id: the account.
            from_date: the day the period begins; since the last billing date when None. A ``datetime`` is refused,
                because the API takes a day, and so is a day that has not begun in UTC.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            NotFoundError: no such account.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *Get Account Usage*, ``GET accounts/{AccountId}/billing?fromDate={FromDate}``.
        """
        if from_date is not None:
            self._check_day(from_date)
        return await self._sender.send(self._usage_call(account_id, from_date), timeout)

    def collect_usage(
        self,
        account_ids: Iterable[str | Account] | AsyncIterable[str | Account] | None = None,
        *,
        from_date: date | None = None,
        concurrency: int | None = None,
        store: UsageStore | str | PathLike[str] | None = None,
        on_progress: ProgressHook | None = None,
        max_outage: float = 3600.0,
        passes: int = 2,
        resume: bool | None = None,
        max_age: timedelta | float = _DAY,
        fan_out: FanOut | None = None,
    ) -> Collection:
        """Collect the usage of many accounts, in bounded memory, with the results as they finish.

        ::

            async with session.accounts.collect_usage(from_date=date(2026, 10, 1), store="usage.sqlite") as run:
                async for outcome in run:
                    ...

        No account is dropped: each ends as an outcome with a usage or an error. Failures that pass are repeated, also
        in later passes; an outage of the service pauses the run.

        Args:
            account_ids: ids or accounts, pulled lazily; every account of the partner when None, read from the account
                list as it streams in. An id that comes twice is asked for twice, with a store once. None with an open
                store whose run is about given ids: those that are registered in it.
            from_date: as for :meth:`usage`.
            concurrency: the most calls under way, 1 or more; fewer while the server shows overload. 32, or
                ``Limits.connections`` if that is less, when None.
            store: a file that keeps every result; a run that was interrupted goes on where it was when it is given
                the same file and the same ids again while it is fresh. Or an open :class:`UsageStore`, which stays
                open. With a file, the service is asked once whose data this is, unless the session's ``partner``
                says so.
            on_progress: called with a :class:`Progress`, four times a second at most.
            max_outage: seconds of outage after which the run gives up, 0 or more; ``math.inf`` for never. The service
                is asked once more at that moment.
            passes: how often accounts that failed alone are tried again at the end, 0 or more.
            resume: None continues an unfinished run of the file that is fresh and about the same accounts, and begins
                a new one otherwise; True requires one to continue; False begins anew. What is not continued is closed
                as ``abandoned``. A run of ids that come one by one (an iterator, an async iterable) is always a new
                one, which takes over the fresh figures of the ids it meets.
            max_age: how old an unfinished run, and its oldest figure, may be to be continued: a timedelta or seconds,
                0 or more; a day by default.
            fan_out: has the accounts asked by worker processes, see :class:`~cyclr_async.usage.FanOut`; ``concurrency``
                is then for each batch. This process keeps the account list, the store, and every decision.

        Raises:
            InvalidArgumentError: an argument cannot be valid, or ``from_date`` is in the future.
            ConfigurationError: neither the session nor the service names the partner (when the block is entered).
            StoreError: the store belongs to another partner, period or host, is in use, or has no run to resume (when
                the block is entered).
            BulkInterruptedError: the run stopped early; ``reason`` and ``resumable`` tell. From the iteration, or when
                the block is entered and the service cannot be asked whose data this is.
        """
        from cyclr_async.usage.collect import api, collection, outcome, start  # noqa: PLC0415 - sqlite: for bulk work only

        if from_date is not None:
            self._check_day(from_date)

        def fetch(account_id: str) -> Awaitable[AccountUsage]:
            return self._sender.send(self._usage_call(account_id, from_date), start.BULK_TIMEOUT, start.ONE_ATTEMPT)

        return start.start(
            collection.Collection,
            api.UsageApi(
                base_url=str(self._root),
                account_type=Account,
                outcome=outcome.UsageOutcome,
                accounts=self.iter,
                usage=fetch,
            ),
            account_ids,
            start.CollectOptions(
                concurrency=concurrency,
                store=store,
                on_progress=on_progress,
                max_outage=max_outage,
                passes=passes,
                resume=resume,
                max_age=max_age,
                fan_out=fan_out,
            ),
            sender=self._sender,
            partner=self._source.partner,
            identify=self._source.identify,
            from_date=from_date,
        )

    def _check_day(self, from_date: date) -> None:
        """Refuse what is not a day, and a day that has not begun.

        The API's times are UTC, so the day begins with UTC. Where it has begun on the calendar but not in UTC, east of
        Greenwich, no figure of it can exist yet, and zero for everybody would look like a result.
        """
        _day(from_date)
        today = datetime.fromtimestamp(self._sender.clock.wall(), UTC).date()
        if from_date > today:
            raise InvalidArgumentError(
                f"from_date {from_date.isoformat()} is in the future: today is {today.isoformat()} (UTC), and there "
                "is no usage yet"
            )

    def _usage_call(self, account_id: str, from_date: date | None) -> Request[AccountUsage]:
        call = Request(
            name="accounts.usage",
            method="GET",
            safety=Safety.SAFE,
            root=self._place,
            path=f"{self._accounts_path}/{segment(account_id)}/billing",
            decode=self._decode_usage,
        )
        if from_date is not None:
            call.url = call.where().with_query(f"fromDate={_day(from_date)}")
            call.root = None
        return call


class _MarkerSearch:
    """Looks through the account list for the account with a marker, and keeps nothing else of it."""

    __slots__ = ("_decoder", "_found", "_marker")

    def __init__(self, marker: str) -> None:
        self._decoder = ListDecoder(Account, lenient=True)
        self._marker = marker
        self._found: str | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the body."""
        self._look(self._decoder.feed(chunk))

    def close(self) -> str | None:
        """Take the end of the body and return the id of the account, if it is there."""
        self._look(self._decoder.close())
        return self._found

    def _look(self, accounts: list[Account]) -> None:
        # Accounts that cannot be read are somebody else's: ours was made a moment ago.
        self._decoder.problems.clear()
        for account in accounts:
            if account.audit_info is not None and self._marker in account.audit_info:
                self._found = account.id


def _same_id(account_id: str) -> Callable[[object], str]:
    """Return a decoder of the answer to a change of this account."""

    def decoded(data: object) -> str:
        found = id_of(data)
        # An id may be written in two ways, which is no reason to doubt an update.
        if bare_id(found) != bare_id(account_id):
            raise DesynchronizedError(
                "accounts.update: the answer names another account and was discarded", sent="maybe", status=None
            )
        return found

    return decoded


def _report(decoder: ListDecoder[Account], hook: BadRecordHook | None) -> None:
    if hook is not None and decoder.problems:
        for index, problem in decoder.problems:
            hook(index, problem)
        decoder.problems.clear()


def _function(value: object, name: str) -> None:
    if value is not None and not callable(value):
        raise InvalidArgumentError(f"{name} must be a function, not {type(value).__name__}")


def _day(from_date: date | None) -> str | None:
    if from_date is None:
        return None
    try:
        return format_date(from_date)
    except TypeError as error:
        problem = str(error)
    # Outside of the except clause, so that nobody reads of a TypeError that is ours.
    raise InvalidArgumentError(f"from_date: {problem}")


def _fields(
    name: str | Unset,
    description: str | Unset | None,
    timezone: str | Unset | None,
    price_plan_id: int | Unset | None,
    next_bill_date: datetime | Unset | None,
    audit_info: str | Unset | None,
) -> dict[str, object]:
    # By type and not by isinstance: True is an int to Python, and no plan.
    if price_plan_id is not UNSET and price_plan_id is not None and type(price_plan_id) is not int:
        raise InvalidArgumentError(
            f"price_plan_id must be an int, not {type(price_plan_id).__name__}: use int(plan.id) for a PricePlan"
        )
    bill_date: object = next_bill_date
    if next_bill_date is not UNSET and next_bill_date is not None:
        if not isinstance(next_bill_date, datetime):
            raise InvalidArgumentError(
                f"next_bill_date must be a datetime, not {type(next_bill_date).__name__}: it has a time of day"
            )
        try:
            bill_date = format_datetime(next_bill_date)
        except OverflowError:
            raise InvalidArgumentError("next_bill_date is outside of the years 1 to 9999 in UTC") from None
    return {
        "Name": name,
        "Description": text(description, "description", empty=True, null=True),
        "Timezone": text(timezone, "timezone", null=True),
        "PricePlanId": price_plan_id,
        "NextBillDate": bill_date,
        "AuditInfo": text(audit_info, "audit_info", empty=True, null=True),
    }
