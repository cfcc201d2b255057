"""Sign-in tokens of the v1.0 API, and the links that are made of them."""

from __future__ import annotations

from yarl import URL

from cyclr_async.http.request import Response
from cyclr_async.http.resource import Sender, body_of, model, text
from cyclr_async.partner.sign_in_token import SignInToken
from cyclr_async.v1.accounts import account_path
from cyclr_async.v1.resource import V1Resource

__all__ = ["SignInToken", "Tokens"]

_sign_in_token = model(SignInToken)


class Tokens(V1Resource):
    """Tokens that sign a user of the partner's application in to an account.

    Args:
        sender: carries the calls.
        root: the root of the v1.0 API.
        console: scheme, host and port that links lead to unless told otherwise.
        http_hosts: hosts that a sign-in link may name with plain http, besides this machine.
    """

    __slots__ = ("_console", "_http_hosts")

    def __init__(self, sender: Sender, root: URL, *, console: URL, http_hosts: frozenset[str]) -> None:
        super().__init__(sender, root)
        self._console = console
        self._http_hosts = http_hosts

    async def create(self, account_id: str, username: str, *, timeout: float | None = None) -> SignInToken:
        """Create a sign-in token: a secret for one sign-in, good for five minutes.

        **A user that does not exist is created.** The call is never repeated when it is not known whether it was
        carried out; calling again is harmless, the token that got lost expires.

        Args:
            account_id: the API id of the account to sign in to.
            username: the user to sign in.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            The token. ``token.url(service_domain)`` is the link that signs the user in, ``token.oauth_url(…)`` that of
            the pop-up in which a connector is signed in with OAuth; either uses the token up.

        Raises:
            InvalidArgumentError: the account id or the username cannot be valid; nothing was sent.
            NotFoundError: no such account.
            OutcomeUnknownError: the token may have been created and its answer was lost.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``POST /accounts/{id}/signintoken``.
        """
        return await self._send(
            "v1.tokens.create",
            "POST",
            f"{account_path(account_id)}/signintoken",
            self._token,
            body=body_of({"Username": text(username, "username")}),
            timeout=timeout,
            advice="call again: a sign-in token that got lost expires by itself",
        )

    def _token(self, answer: Response) -> SignInToken:
        return _sign_in_token(answer).with_console(self._console, http_hosts=self._http_hosts)
