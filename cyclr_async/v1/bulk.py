"""The usage of many accounts over the v1.0 API."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from cyclr_async.auth.providers import PartnerIdentity
from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.request import Request, Response, Safety
from cyclr_async.http.resource import PartnerSource, Sender
from cyclr_async.v1.account import Account, AccountUsage
from cyclr_async.v1.answer_ids import AnswerIds
from cyclr_async.v1.paging import page_query, total_pages
from cyclr_async.v1.resource import V1Resource, explained, flag
from cyclr_async.wire.converter import decoder_of
from cyclr_async.wire.segments import free_segment
from cyclr_async.wire.strict_json import loads

if TYPE_CHECKING:
    from os import PathLike

    from cyclr_async.usage.collect.collection import V1Collection
    from cyclr_async.usage.collect.fan_out import FanOut
    from cyclr_async.usage.collect.progress import ProgressHook
    from cyclr_async.usage.store.store import UsageStore

__all__ = ["BulkAccounts", "account_path"]

_DAY: Final = timedelta(hours=24)
"""As :data:`cyclr_async.usage.store.runs.MAX_AGE`, which is loaded for bulk work only."""


def account_path(account_id: str) -> str:
    """Return the path of an account.

    Raises:
        InvalidArgumentError: the id cannot be one.
    """
    return f"accounts/{free_segment(account_id)}"


class BulkAccounts(V1Resource):
    """The accounts of the partner, as far as all of them at once are concerned.

    Args:
        sender: carries the calls.
        root: the root of the API.
        source: tells whose accounts they are, for stores.
    """

    __slots__ = ("_ids", "_source")

    def __init__(self, sender: Sender, root: URL, source: PartnerSource) -> None:
        super().__init__(sender, root)
        self._source = source
        self._ids = AnswerIds()

    def _usage_of(self, account_id: str, read: Callable[[Any], AccountUsage]) -> Callable[[Response], AccountUsage]:
        """Return a decoder of the usage of this account, which refuses that of another one.

        Args:
            account_id: the account.
            read: makes the usage of the JSON of an answer.
        """

        def usage(answer: Response) -> AccountUsage:
            # Without the care of http.resource.model(): no field of a usage is a secret.
            found = read(loads(answer.body))
            self._ids.check("v1.accounts.usage", account_id, found.id, answer.connection)
            return found

        return usage

    def collect_usage(
        self,
        account_ids: Iterable[str | Account] | AsyncIterable[str | Account] | None = None,
        *,
        subaccounts: bool = False,
        concurrency: int | None = None,
        store: UsageStore | str | PathLike[str] | None = None,
        on_progress: ProgressHook | None = None,
        max_outage: float = 3600.0,
        passes: int = 2,
        resume: bool | None = None,
        max_age: timedelta | float = _DAY,
        fan_out: FanOut | None = None,
    ) -> V1Collection:
        """Collect the usage of many accounts, in bounded memory, with the results as they finish.

        ::

            async with session.v1.accounts.collect_usage(store="usage.sqlite") as run:
                async for outcome in run:
                    ...

        It is the engine of :meth:`cyclr_async.partner.Accounts.collect_usage`, with the same guarantees. What differs
        is that of the API: there is no ``from_date``, the period is the current one; the list comes in pages, which are
        read until nothing moves in them, so that an account that was there throughout is collected, and once; and the
        account list leaves sub-accounts out, as far as is known, while their tasks are not in their parent's usage.

        Args:
            account_ids: ids or accounts, pulled lazily; every account of the partner when None.
            subaccounts: collect the sub-accounts of every account too, and note whose they are. One more request for
                each account. Not with ``account_ids``.
            concurrency: the most calls under way, 1 or more; fewer while the server shows overload. 32, or
                ``Limits.connections`` if that is less, when None.
            store: a file that keeps every result, or an open :class:`UsageStore`, which stays open. It belongs to the
                partner that the session's ``partner`` names, else to the client id: the v1.0 API names none.
            on_progress: called with a :class:`Progress`, four times a second at most.
            max_outage: seconds of outage after which the run gives up, 0 or more; ``math.inf`` for never.
            passes: how often accounts that failed alone are tried again at the end, 0 or more.
            resume: None continues an unfinished run of the file that is fresh and about the same accounts, and begins
                a new one otherwise; True requires one to continue; False begins anew.
            max_age: how old an unfinished run, and its oldest figure, may be to be continued: a timedelta or seconds,
                0 or more; a day by default.
            fan_out: has the accounts asked by worker processes, see :class:`~cyclr_async.usage.FanOut`; ``concurrency``
                is then for each batch. This process keeps the account list, the store, and every decision.

        Raises:
            InvalidArgumentError: an argument cannot be valid.
            ConfigurationError: nothing names the partner (when the block is entered).
            StoreError: the store belongs to another partner, API or host, is in use, or has no run to resume (when the
                block is entered).
            BulkInterruptedError: the run stopped early; ``reason`` and ``resumable`` tell.

        Source: ``GET /accounts``, ``GET /accounts/{id}/usage``, ``GET /accounts/{id}/subaccounts``.
        """
        from cyclr_async.usage.collect import api, collection, outcome, start, v1_accounts  # noqa: PLC0415 - for bulk
        from cyclr_async.usage.store.rows import ALL_IDS, TREE_IDS  # noqa: PLC0415 - likewise

        if flag(subaccounts, "subaccounts") and account_ids is not None:
            raise InvalidArgumentError("subaccounts is for every account of the partner: leave account_ids out with it")

        root, headers, read = self._root, self._headers, decoder_of(AccountUsage)
        below = f"{self._path}/accounts/"

        # All in one: of what a run does for every account, whatever is taken out of here costs a call more.
        def usage(account_id: str) -> Awaitable[AccountUsage]:
            call = Request(
                name="v1.accounts.usage",
                method="GET",
                url=root.with_path(f"{below}{free_segment(account_id)}/usage", encoded=True),
                safety=Safety.SAFE,
                interpret=self._usage_of(account_id, read),
                headers=headers,
            )
            return self._sender.send(call, start.BULK_TIMEOUT, start.ONE_ATTEMPT)

        def page(parent: str | None, number: int) -> Awaitable[v1_accounts.RawPage]:
            path = "accounts" if parent is None else f"{account_path(parent)}/subaccounts"
            call = Request(
                name="v1.accounts.list" if parent is None else "v1.accounts.subaccounts",
                method="GET",
                # Ascending, so that accounts that are created meanwhile come last.
                url=self._url(path).with_query(f"{page_query(number)}&sortOrderAsc=true"),
                safety=Safety.SAFE,
                interpret=lambda answer: v1_accounts.RawPage(answer.body, total_pages(answer.headers)),
                headers=self._headers,
            )
            return self._sender.send(call, None)

        async def identify() -> PartnerIdentity:
            return self._source.known_identity()

        pages = v1_accounts.AccountPages(
            page, self._sender.clock, max_outage=max_outage, subaccounts=subaccounts, once=store is None
        )
        return start.start(
            collection.V1Collection,
            api.UsageApi(
                base_url=str(self._root),
                account_type=Account,
                outcome=outcome.V1UsageOutcome,
                accounts=pages,
                usage=usage,
                explain=lambda error: explained(error, scoped=False),
                everybody=TREE_IDS if subaccounts else ALL_IDS,
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
            identify=identify,
        )
