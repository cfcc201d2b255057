"""An API as the engine knows it: how its accounts are listed, how one is asked for its usage, and what its rows are."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import attrs

from cyclr_async.errors import CyclrError, DecodeError
from cyclr_async.usage.collect.outcome import Outcome
from cyclr_async.usage.store.api_rows import ApiRows, rows_of
from cyclr_async.usage.store.rows import ALL_IDS

__all__ = ["BadRecordHook", "Lister", "UsageApi"]

OutcomeT = TypeVar("OutcomeT", bound=Outcome[Any, Any])


class BadRecordHook(Protocol):
    """Told of an account of the list that cannot be read."""

    def __call__(self, index: int, error: DecodeError, /) -> object:
        """Take its place in the list and what is wrong with it."""
        ...


class Lister(Protocol):
    """Asks for the account list of the partner."""

    def __call__(self, *, on_bad_record: BadRecordHook) -> AsyncIterable[Any]:
        """Return the accounts as they arrive: accounts of the API, or :class:`Listed` ones."""
        ...


@attrs.frozen(kw_only=True)
class UsageApi(Generic[OutcomeT]):
    """What a collection has to know of an API. Everything else about it, the engine does not know.

    Attributes:
        base_url: where it is; a store belongs to one such place.
        account_type: its account model, which callers may give instead of ids.
        outcome: what is made of its answers; names the API.
        accounts: lists every account.
        usage: asks for the usage of an account, once.
        explain: puts an error into the words of the API; changes it.
        everybody: what a run of the whole list is about: ``"all"``, or ``"tree"`` with sub-accounts.
    """

    base_url: str
    account_type: type[Any]
    outcome: type[OutcomeT]
    accounts: Lister
    usage: Callable[[str], Awaitable[Any]]
    # A function of its own, and not a wrapper of usage(): that would be one more coroutine for every account.
    explain: Callable[[CyclrError], object] = lambda _error: None
    everybody: str = ALL_IDS

    @property
    def name(self) -> str:
        """The API, as runs and rows carry it."""
        return self.outcome.api

    @property
    def rows(self) -> ApiRows:
        """How its rows are filled."""
        return rows_of(self.outcome.api)
