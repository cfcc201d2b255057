"""Sign-in tokens."""

from __future__ import annotations

from yarl import URL

from cyclr_async.http.request import Request, Safety
from cyclr_async.http.resource import Resource, Sender, body_of, text
from cyclr_async.partner.sign_in_token import SignInToken
from cyclr_async.wire.converter import structure
from cyclr_async.wire.segments import segment

__all__ = ["Tokens"]


class Tokens(Resource):
    """Tokens that sign a user of the partner's application in to an account.

    Args:
        sender: carries the calls.
        root: the root of the partner API.
        http_hosts: hosts that a sign-in link may name with plain http, besides this machine.
    """

    __slots__ = ("_http_hosts",)

    def __init__(self, sender: Sender, root: URL, http_hosts: frozenset[str]) -> None:
        super().__init__(sender, root)
        self._http_hosts = http_hosts

    async def create(self, account_id: str, username: str, *, timeout: float | None = None) -> SignInToken:
        """Create a sign-in token: a secret for one sign-in, good for a few minutes.

        A user that does not exist yet is assumed to be created by the server. The call is never repeated when it is
        not known whether it was carried out; calling again is harmless, the token that got lost expires.

        Args:
            account_id: the account to sign in to.
            username: the user to sign in.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            The token; redirect the browser to ``token.url().reveal()``.

        Raises:
            InvalidArgumentError: the account id or the username cannot be valid; nothing was sent.
            OutcomeUnknownError: the token may have been created and its answer was lost.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *Get Account Signin Token*, ``POST createaccountsignintoken``.
        """
        segment(account_id)
        body = body_of({"AccountId": account_id, "Username": text(username, "username")})
        call = Request(
            name="tokens.create",
            method="POST",
            url=self._url("createaccountsignintoken"),
            safety=Safety.UNSAFE,
            body=body,
            decode=self._token,
            advice="call again: a sign-in token that got lost expires by itself",
        )
        return await self._sender.send(call, timeout)

    def _token(self, data: object) -> SignInToken:
        # The console is the host of this API, whatever region or private instance that is.
        return structure(data, SignInToken).with_console(self._root.origin(), http_hosts=self._http_hosts)
