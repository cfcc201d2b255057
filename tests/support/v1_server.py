"""The accounts of the v1.0 API over raw sockets, for tests of bulk runs: lists in pages that move meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cyclr_async import AsyncPartnerSession
from tests.support.usage_server import PartnerServer, http

__all__ = ["V1Server", "api_ids", "tasks_of"]


def api_ids(count: int, start: int = 0) -> list[str]:
    """API ids of accounts: GUIDs with hyphens, as the service makes them."""
    return [f"00000000-0000-0000-0000-{number:012x}" for number in range(start, start + count)]


def tasks_of(account_id: str) -> int:
    """The tasks of an account: from them an answer can be told from every other."""
    return int(account_id[-12:], 16) * 3 + 1


class V1Server(PartnerServer):
    """Answers ``/accounts``, their sub-accounts and their usage.

    Args:
        order: the ids of the list, in its order; a test may change it at any time.
        children: the sub-accounts of accounts.
        reply: as for :class:`PartnerServer`.
        counted: send ``Total-Pages``.
        largest: the most accounts on a page, whatever is asked for.
        moves: called with the number of a page of the list after it was answered.
        delay: seconds before each answer.
    """

    def __init__(
        self,
        order: Iterable[str] = (),
        *,
        children: dict[str, list[str]] | None = None,
        reply: Callable[[str, int], bytes | None] = lambda _account, _nth: None,
        counted: bool = True,
        largest: int = 100,
        moves: Callable[[int], object] = lambda _page: None,
        delay: float = 0.0,
    ) -> None:
        super().__init__((), reply, delay=delay)
        self.order = list(order)
        self.children = children or {}
        self.counted = counted
        self.largest = largest
        self.moves = moves
        self.failing: list[bytes] = []
        """What the next pages of the list are answered with instead."""
        self.rows: dict[str, dict[str, Any]] = {}
        """Rows of accounts that are not as usual."""
        self.pages: list[int] = []
        self.asked_for_children: list[str] = []

    @property
    def v1_url(self) -> str:
        return self.base_url.replace("/api/partner", "/v1.0")

    def session(self, auth: Any = "token", **options: Any) -> AsyncPartnerSession:
        options.setdefault("partner", "partner-1")
        return super().session(auth, v1_url=self.v1_url, **options)

    def answer(self, path: str) -> bytes:
        if self.always is not None or path == "/oauth/token" or path.endswith("/details"):
            return super().answer(path)
        target = urlsplit(self.targets[-1])
        _, _, *parts = target.path.split("/")
        query = {name: int(values[-1]) for name, values in parse_qs(target.query).items() if values[-1].isdigit()}
        match [unquote(part) for part in parts]:
            case ["accounts"]:
                self.pages.append(query["page"])
                if self.failing:
                    return self.failing.pop(0)
                found = self._page(self.order, query)
                self.moves(query["page"])
                return found
            case ["accounts", account, "subaccounts"]:
                self.asked_for_children.append(account)
                return self._page(self.children.get(account, []), query)
            case ["accounts", account, "usage"]:
                self.hits[account] += 1
                chosen = self.reply(account, self.hits[account])
                return self._usage(account) if chosen is None else chosen
        return http(404)

    def _page(self, order: list[str], query: dict[str, int]) -> bytes:
        size = min(query["pageSize"], self.largest)
        first = (query["page"] - 1) * size
        rows = [self.rows.get(one) or _row(one) for one in order[first : first + size]]
        headers = [f"Total-Pages: {-(-len(order) // size)}"] if self.counted else []
        return http(200, rows, *headers)

    @staticmethod
    def _usage(account: str) -> bytes:
        return http(
            200,
            {
                "Id": account,
                "TasksUsed": tasks_of(account),
                "StartTime": "2026-10-09T16:23:08Z",
                "EndTime": "2026-11-02T08:00:00Z",
            },
        )


def _row(account_id: str) -> dict[str, Any]:
    return {
        "CreatedDate": "2023-04-11T07:37:47.455544Z",
        "Id": account_id,
        "Name": f"Account {account_id[-6:]}",
        "Description": None,
        "AuditInfo": "listed",
        "TaskAuditInfo": None,
        "Timezone": "Europe/London",
        "NextBillDateUtc": "2026-11-09T16:23:08Z",
        "StepDataSuccessRetentionHours": None,
        "StepDataErroredRetentionHours": None,
        "TransactionErrorWebhookEnabled": False,
        "TransactionErrorWebhookUrl": None,
        "TransactionErrorWebhookIncludeWarnings": False,
    }
