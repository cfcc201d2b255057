"""The v1.0 API of a session, and the same restricted to one account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from yarl import URL

from cyclr_async.checks import shown
from cyclr_async.errors import ConflictError, InvalidArgumentError, NotFoundError, UnauthorizedError
from cyclr_async.http.raw_request import Query, RawResponse, json_body, raw_request
from cyclr_async.http.request import NO_HEADERS
from cyclr_async.http.resource import PartnerSource, Resource, Sender
from cyclr_async.v1.account_connectors import AccountConnectors
from cyclr_async.v1.accounts import Accounts
from cyclr_async.v1.connectors import Connectors, Methods
from cyclr_async.v1.cycles import Cycles
from cyclr_async.v1.launch import Launch
from cyclr_async.v1.resource import explained
from cyclr_async.v1.steps import Steps
from cyclr_async.v1.templates import AccountTemplates, Templates
from cyclr_async.v1.tokens import Tokens
from cyclr_async.v1.users import Users

__all__ = ["ACCOUNT_HEADER", "AccountScope", "V1Api"]

ACCOUNT_HEADER: Final = "X-Cyclr-Account"
"""Names the account that an account-level call is about; partner-level calls ignore it."""
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")
"""Visible ASCII, and blanks within: a server strips blanks around a value, so they would name another account. As long
as an id in a URL may be."""


class _Part(Resource):
    """Whatever sends requests below the root of the v1.0 API."""

    __slots__ = ()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: object = None,
        repeatable: bool | None = None,
        timeout: float | None = None,
    ) -> RawResponse:
        """Send a request to an endpoint that has no method here, with the same tokens, limits and retries.

        Args:
            method: the HTTP method.
            path: below the root of the v1.0 API, such as ``"accounts"``; each segment is checked and quoted.
            query: query parameters: texts and numbers, or lists of these for what comes several times.
            json: the body, sent as JSON unless None.
            repeatable: whether the operation may be repeated when its outcome is unknown; by default GET and HEAD
                may, and nothing else.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            Status, headers, body; ``.json()`` decodes, and ``answer["Name"]`` looks into the decoded JSON.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # Rebound at once: the body may hold a secret, and this frame could end up in a traceback with locals.
        json = None if json is None else json_body(json)
        if isinstance(json, str):
            raise InvalidArgumentError(f"json cannot be sent as JSON ({json})")
        call = raw_request(
            self._root,
            method,
            path,
            query=query,
            body=json,
            repeatable=repeatable,
            headers=self._headers,
            blanks=True,
        )
        try:
            return await self._sender.send(call, timeout)
        except (ConflictError, NotFoundError, UnauthorizedError) as error:
            explained(error, scoped=bool(self._headers))
            raise


class V1Api(_Part):
    """The v1.0 API.

    Args:
        sender: carries the calls.
        root: the root of the API.
        source: tells whose accounts they are, for stores.
        console: scheme, host and port that sign-in links lead to unless told otherwise.
        http_hosts: hosts that a sign-in link may name with plain http, besides this machine.

    Attributes:
        accounts: of the partner.
        connectors: the catalogue.
        launch: links to LAUNCH, ORBIT and the Marketplace.
        methods: of all connectors.
        templates: that are published.
        tokens: that sign a user in.
        users: of accounts.
    """

    __slots__ = ("accounts", "connectors", "launch", "methods", "templates", "tokens", "users")

    def __init__(
        self,
        sender: Sender,
        root: URL,
        source: PartnerSource,
        *,
        console: URL,
        http_hosts: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(sender, root)
        headers = NO_HEADERS
        self.accounts: Accounts = Accounts(sender, root, source)
        self.connectors: Connectors = Connectors(sender, root, headers)
        self.launch: Launch = Launch(sender, root, headers)
        self.methods: Methods = Methods(sender, root, headers)
        self.tokens: Tokens = Tokens(sender, root, console=console, http_hosts=http_hosts)
        self.users: Users = Users(sender, root, headers)
        self.templates: Templates = Templates(sender, root, headers)

    @property
    def root(self) -> URL:
        """The root of the v1.0 API."""
        return self._root

    def account(self, account_id: str) -> AccountScope:
        """Return the API as one account sees it. No call is made: whether the account exists shows with the first one.

        Args:
            account_id: the API id of the account.

        Raises:
            InvalidArgumentError: the id cannot stand in a header: it is no text, empty or longer than 128 characters,
                not printable ASCII, or has blanks around it.
        """
        return AccountScope(self._sender, self._root, {ACCOUNT_HEADER: _account_id(account_id)})

    def __repr__(self) -> str:
        return f"<V1Api {self._root}>"


class AccountScope(_Part):
    """The v1.0 API restricted to one account: every request carries ``X-Cyclr-Account``.

    Attributes:
        catalogue: connectors that can be installed, with those that the account has made.
        connectors: that are installed in the account.
        cycles: of the account.
        methods: of all connectors.
        steps: of the account's cycles.
        templates: that can be installed.
    """

    __slots__ = ("catalogue", "connectors", "cycles", "methods", "steps", "templates")

    def __init__(self, sender: Sender, root: URL, headers: Mapping[str, str] = NO_HEADERS) -> None:
        super().__init__(sender, root, headers)
        self.catalogue: Connectors = Connectors(sender, root, headers)
        self.connectors: AccountConnectors = AccountConnectors(sender, root, headers)
        self.cycles: Cycles = Cycles(sender, root, headers)
        self.methods: Methods = Methods(sender, root, headers)
        self.steps: Steps = Steps(sender, root, headers)
        self.templates: AccountTemplates = AccountTemplates(sender, root, headers)

    @property
    def account_id(self) -> str:
        """The account."""
        return self._headers[ACCOUNT_HEADER]

    def __repr__(self) -> str:
        return f"<AccountScope {self.account_id} {self._root}>"


def _account_id(value: object) -> str:
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        raise InvalidArgumentError(
            "account_id cannot be sent as a header: it must be 1 to 128 characters of printable ASCII without blanks "
            f"around them; got {shown(value)}"
        )
    return value
