"""The accounts of the v1.0 API, made once each, and their usage."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Final

from cyclr_async.checks import check_timeout, shown
from cyclr_async.errors import CyclrError, InvalidArgumentError, NotFoundError
from cyclr_async.http.classify import is_foreign
from cyclr_async.http.request import Response
from cyclr_async.http.resource import body_of, model, required
from cyclr_async.v1.account import Account, AccountUsage
from cyclr_async.v1.account_fields import account_body, account_fields, differing, exists, taken
from cyclr_async.v1.bulk import BulkAccounts, account_path
from cyclr_async.v1.once import Creation, TimeLeft, passes
from cyclr_async.v1.paging import PAGE_SIZE
from cyclr_async.v1.resource import flag, models, some
from cyclr_async.wire.converter import decoder_of
from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["Accounts", "account_path"]

_account = model(Account)
_ADVICE: Final = "change it with update(), or choose another id"


class Accounts(BulkAccounts):
    """The accounts of the partner."""

    __slots__ = ()

    async def iter(
        self, *, ascending: bool | None = None, recheck: bool = True, timeout: float | None = None
    ) -> AsyncGenerator[Account, None]:
        """Yield every account, page after page, in flat memory but for the ids.

        Accounts are created and deleted while a list is read, and then rows move between pages. An account comes once,
        whatever moves. One that is there from the first page to the last is not missed: the pages are read once more,
        backwards, because an account that is deleted moves another one past the reader unseen. An account that is
        created meanwhile comes if it was there when the last page was read. What is promised ends where accounts are
        both created *before* others in the list and deleted, at once; the order of creation is assumed, in which new
        ones come last.

        Args:
            ascending: the direction; None leaves it to the server.
            recheck: read the pages once more; False halves the requests, and may miss an account for each that is
                deleted meanwhile.
            timeout: wall-clock seconds for each page; ``Timeouts.deadline`` when None.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``GET /accounts``.
        """
        async for one in self._iter(
            "v1.accounts.list",
            "accounts",
            Account,
            lambda one: one.id,
            query={"sortOrderAsc": ascending},
            timeout=timeout,
            recheck=flag(recheck, "recheck"),
        ):
            yield one

    async def list(
        self,
        *,
        page: int = 1,
        page_size: int = PAGE_SIZE,
        ascending: bool | None = None,
        timeout: float | None = None,
    ) -> builtins.list[Account]:
        """Return one page of the accounts; for all of them, see :meth:`iter`.

        Args:
            page: its number, from 1.
            page_size: accounts on a page; the server may have a limit of its own.
            ascending: the direction; None leaves it to the server.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            The accounts; none past the last page.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``GET /accounts``.
        """
        for name, value in (("page", page), ("page_size", page_size)):
            if type(value) is not int or value < 1:
                raise InvalidArgumentError(f"{name} must be an int from 1; got {shown(value)}")
        asked = {"page": page, "pageSize": page_size, "sortOrderAsc": ascending}
        return await self._send("v1.accounts.list", "GET", "accounts", models(Account), query=asked, timeout=timeout)

    async def get(self, account_id: str, *, timeout: float | None = None) -> Account:
        """Return an account.

        Args:
            account_id: the API id.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such account.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``GET /accounts/{id}``.
        """
        path = account_path(account_id)

        def account(answer: Response) -> Account:
            found = _account(answer)
            # Not the stricter rule: an account may be asked for by an id that is not its API id, as far as is known.
            self._ids.check("v1.accounts.get", account_id, found.id, answer.connection, always=False)
            return found

        return await self._send("v1.accounts.get", "GET", path, account, timeout=timeout)

    async def subaccounts(
        self, account_id: str, *, ascending: bool | None = None, timeout: float | None = None
    ) -> builtins.list[Account]:
        """Return all sub-accounts of an account, read as carefully as :meth:`iter` reads.

        Args:
            account_id: the API id.
            ascending: the direction; None leaves it to the server.
            timeout: wall-clock seconds for each page; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such account.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``GET /accounts/{id}/subaccounts``.
        """
        path = f"{account_path(account_id)}/subaccounts"
        return [
            one
            async for one in self._iter(
                "v1.accounts.subaccounts",
                path,
                Account,
                lambda one: one.id,
                query={"sortOrderAsc": ascending},
                timeout=timeout,
                recheck=True,
            )
        ]

    async def usage(self, account_id: str, *, timeout: float | None = None) -> AccountUsage:
        """Return the tasks that an account has used in the current billing period, without those of its sub-accounts.

        Args:
            account_id: the API id.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such account.
            DesynchronizedError: the answers name another account, also when repeated.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``GET /accounts/{id}/usage``. That the period is the current one, up to now, is assumed.
        """
        path = f"{account_path(account_id)}/usage"
        decode = self._usage_of(account_id, decoder_of(AccountUsage))
        return await self._send("v1.accounts.usage", "GET", path, decode, timeout=timeout)

    async def create(
        self,
        id: str | None = None,  # noqa: A002 - the name of the field
        *,
        name: str,
        description: str | Unset | None = UNSET,
        timezone: str | Unset | None = UNSET,
        audit_info: str | Unset | None = UNSET,
        task_audit_info: str | Unset | None = UNSET,
        next_bill_date_utc: datetime | Unset = UNSET,
        step_data_success_retention_hours: int | Unset | None = UNSET,
        step_data_errored_retention_hours: int | Unset | None = UNSET,
        transaction_error_webhook_enabled: bool | Unset = UNSET,
        transaction_error_webhook_url: str | Unset | None = UNSET,
        transaction_error_webhook_include_warnings: bool | Unset = UNSET,
        parent_account_id: str | None = None,
        timeout: float | None = None,
    ) -> Account:
        """Create an account, once if it is given an id.

        With an id, an answer that is lost does not matter: the account is looked at, and the request is sent again if
        it is not there. Without one the service chooses the id, so there is nothing to look for and the request is
        never repeated; ``id=str(uuid.uuid4())`` does as well.

        Args:
            id: the API id, any text; the service makes a GUID when None.
            name: not empty.
            description: free text.
            timezone: an IANA name such as ``"Europe/London"``.
            audit_info: free text for the partner's own reference.
            task_audit_info: free text for the partner's own reference.
            next_bill_date_utc: sent as UTC in whole seconds; a time without zone is taken as UTC. That the server
                heeds it is not known.
            step_data_success_retention_hours: 0 to 744 hours; None inherits the partner's setting.
            step_data_errored_retention_hours: likewise.
            transaction_error_webhook_enabled: True needs the URL in the same call.
            transaction_error_webhook_url: the server puts ``https://`` before it where it has no scheme.
            transaction_error_webhook_include_warnings: whether warnings are reported too.
            parent_account_id: makes it a sub-account of this one.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` for each request when None.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            AlreadyExistsError: there is an account with that id; ``same`` and ``differing`` tell whether it is as
                asked for.
            OutcomeUnknownError: without an id: the account may have been created. With one: the service could not be
                asked whether it was.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``POST /accounts``.
        """
        time = TimeLeft(self._sender.clock, check_timeout(timeout))
        fields = account_fields(
            name,
            description,
            timezone,
            audit_info,
            task_audit_info,
            next_bill_date_utc,
            step_data_success_retention_hours,
            step_data_errored_retention_hours,
            transaction_error_webhook_enabled,
            transaction_error_webhook_url,
            transaction_error_webhook_include_warnings,
        )
        required(name, "name")
        if id is None:
            return await self._post(account_body(None, fields, parent_account_id), time)
        return await self._creation(id, fields, parent_account_id, time).create()

    async def ensure(
        self,
        id: str,  # noqa: A002 - the name of the field
        *,
        name: str,
        description: str | Unset | None = UNSET,
        timezone: str | Unset | None = UNSET,
        audit_info: str | Unset | None = UNSET,
        task_audit_info: str | Unset | None = UNSET,
        next_bill_date_utc: datetime | Unset = UNSET,
        step_data_success_retention_hours: int | Unset | None = UNSET,
        step_data_errored_retention_hours: int | Unset | None = UNSET,
        transaction_error_webhook_enabled: bool | Unset = UNSET,
        transaction_error_webhook_url: str | Unset | None = UNSET,
        transaction_error_webhook_include_warnings: bool | Unset = UNSET,
        parent_account_id: str | None = None,
        timeout: float | None = None,
    ) -> Account:
        """Return the account with that id, created now if there was none. It is looked at first.

        One that exists is returned when it is as asked for, and is never changed. The bill date and the parent are not
        compared: the service moves the one and does not show the other.

        Args:
            id: the API id, any text.
            name: not empty.
            description: free text; compared when given, as all that follow.
            timezone: an IANA name such as ``"Europe/London"``.
            audit_info: free text for the partner's own reference.
            task_audit_info: free text for the partner's own reference.
            next_bill_date_utc: as for :meth:`create`.
            step_data_success_retention_hours: 0 to 744 hours; None inherits the partner's setting.
            step_data_errored_retention_hours: likewise.
            transaction_error_webhook_enabled: True needs the URL in the same call.
            transaction_error_webhook_url: the server puts ``https://`` before it where it has no scheme.
            transaction_error_webhook_include_warnings: whether warnings are reported too.
            parent_account_id: makes a new account a sub-account of this one.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` for each request when None.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            AlreadyExistsError: the account is not as asked for; ``differing`` tells what differs.
            OutcomeUnknownError: the service could not be asked whether the account was created.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``GET /accounts/{id}``, ``POST /accounts``.
        """
        time = TimeLeft(self._sender.clock, check_timeout(timeout))
        fields = account_fields(
            name,
            description,
            timezone,
            audit_info,
            task_audit_info,
            next_bill_date_utc,
            step_data_success_retention_hours,
            step_data_errored_retention_hours,
            transaction_error_webhook_enabled,
            transaction_error_webhook_url,
            transaction_error_webhook_include_warnings,
        )
        required(name, "name")
        creation = self._creation(id, fields, parent_account_id, time)
        # The usual caller does this before every use of an account, so that there is one already as a rule.
        try:
            found = await self._found(id, time)
        except CyclrError as error:
            if not passes(error):
                raise
            found = None  # it was only to save a request: one that creates it finds out as well
        return await creation.ensure() if found is None else creation.agreed(found)

    async def update(
        self,
        account_id: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        timezone: str | Unset | None = UNSET,
        audit_info: str | Unset | None = UNSET,
        task_audit_info: str | Unset | None = UNSET,
        next_bill_date_utc: datetime | Unset = UNSET,
        step_data_success_retention_hours: int | Unset | None = UNSET,
        step_data_errored_retention_hours: int | Unset | None = UNSET,
        transaction_error_webhook_enabled: bool | Unset = UNSET,
        transaction_error_webhook_url: str | Unset | None = UNSET,
        transaction_error_webhook_include_warnings: bool | Unset = UNSET,
        timeout: float | None = None,
    ) -> Account:
        """Change an account. What is not named stays untouched; ``None`` is sent as null, which clears.

        The call sets a state, so it is repeated after a failure, for ``RetryPolicy.write_window`` seconds at most.

        Args:
            account_id: the API id.
            name: not empty.
            description: free text.
            timezone: an IANA name such as ``"Europe/London"``.
            audit_info: free text for the partner's own reference.
            task_audit_info: free text for the partner's own reference.
            next_bill_date_utc: as for :meth:`create`.
            step_data_success_retention_hours: 0 to 744 hours; None inherits the partner's setting.
            step_data_errored_retention_hours: likewise.
            transaction_error_webhook_enabled: True needs the URL in the same call, also if one is stored: the server
                looks at nothing else.
            transaction_error_webhook_url: the server puts ``https://`` before it where it has no scheme.
            transaction_error_webhook_include_warnings: whether warnings are reported too.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            The account as it is now.

        Raises:
            InvalidArgumentError: an argument cannot be valid, or nothing was to be changed; nothing was sent.
            NotFoundError: no such account.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``PUT /accounts/{id}``.
        """
        path = account_path(account_id)
        fields = account_fields(
            name,
            description,
            timezone,
            audit_info,
            task_audit_info,
            next_bill_date_utc,
            step_data_success_retention_hours,
            step_data_errored_retention_hours,
            transaction_error_webhook_enabled,
            transaction_error_webhook_url,
            transaction_error_webhook_include_warnings,
        )
        return await self._send("v1.accounts.update", "PUT", path, _account, body=some(fields), timeout=timeout)

    async def delete(self, account_id: str, *, timeout: float | None = None) -> None:
        """Delete an account, once. Its id is free again at once.

        An answer that is lost does not matter: the account is looked at, and the request is sent again if it is still
        there. An account that was made anew meanwhile, between two looks, is told by its creation date and stays.

        Args:
            account_id: the API id.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` for each request when None.

        Raises:
            NotFoundError: no such account.
            OutcomeUnknownError: the service could not be asked whether the account was deleted.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``DELETE /accounts/{id}``. What becomes of its active cycles is not known.
        """
        await self._delete("v1.accounts.delete", account_path(account_id), seen=_birth, timeout=timeout)

    def _creation(
        self, account_id: str, fields: Mapping[str, object], parent_account_id: str | None, time: TimeLeft
    ) -> Creation[Account]:
        account_path(account_id)  # refused now, and not when the account has to be looked at
        body = account_body(account_id, fields, parent_account_id)
        return Creation(
            time=time,
            send=lambda: self._post(body, time),
            look=lambda: self._found(account_id, time),
            taken=taken,
            differing=lambda found: differing(fields, found),
            exists=exists,
            advice=_ADVICE,
        )

    async def _post(self, body: Mapping[str, object], time: TimeLeft) -> Account:
        return await self._send(
            "v1.accounts.create",
            "POST",
            "accounts",
            _account,
            body=body_of(body),
            timeout=time.left(),
            advice="look for the account before creating it again, or give it an id, which makes that unnecessary",
        )

    async def _found(self, account_id: str, time: TimeLeft) -> Account | None:
        try:
            return await self.get(account_id, timeout=time.left())
        except NotFoundError as error:
            if is_foreign(error):
                raise
            return None


def _birth(answer: Response) -> object:
    """Return what tells an account from another one that is made later under the same id."""
    return _account(answer).created_date or True
