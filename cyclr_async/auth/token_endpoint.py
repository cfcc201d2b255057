"""The request to the token endpoint, and what its answer means."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Final, Protocol
from urllib.parse import urlencode

from yarl import URL

from cyclr_async.auth.providers import AccessToken
from cyclr_async.errors import (
    AuthenticationError,
    ConfigurationError,
    CyclrError,
    DecodeError,
    RateLimitedError,
    ResponseError,
    ServerError,
    TokenEndpointError,
    UnauthorizedError,
    UnexpectedRedirectError,
)
from cyclr_async.http.request import Request, Safety
from cyclr_async.secret import HiddenBytes, HiddenStr, Secret

__all__ = ["Send", "TokenEndpoint", "token_failure", "token_request"]

# A word of the endpoint about itself: the credentials may be good, so the next attempt is made with the same.
_PASSING: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
"""OAuth codes that are about the endpoint and not about who asks (RFC 6749 section 4.1.2.1, RFC 8628 section 3.5)."""
_REFUSING: Final = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""Codes of RFC 6749 that are about who asks. No other text of an answer of status 200 is repeated in a message, because
whatever answered there may have sent anything back, a secret of the form included."""


_TIMEOUT: Final = 30.0
"""Seconds for fetching one access token, whatever the caller's own budget: others wait for the same token."""


class Send(Protocol):
    """Carries out one request."""

    def __call__(self, request: Request[AccessToken], /, *, timeout: float | None) -> Awaitable[AccessToken]:
        """Return the value of the answer.

        Args:
            request: what to send.
            timeout: wall-clock seconds for everything.
        """
        ...


class TokenEndpoint:
    """Exchanges credentials for access tokens: the ``exchange`` of a token provider.

    Args:
        url: where, or None for a session that has a fixed token only.
        send: carries out a request, without access token.
    """

    __slots__ = ("_send", "_url")

    def __init__(self, url: URL | None, send: Send) -> None:
        self._url = url
        self._send = send

    async def __call__(self, form: Mapping[str, str], repeatable: bool) -> AccessToken:
        """Post a form and return the token of the answer.

        Raises:
            ConfigurationError: there is no token endpoint.
            AuthenticationError: it refused the credentials.
            TokenEndpointError: it answered with neither a token nor a refusal.
            CyclrError: it could not be asked.
        """
        # A session is made without one for a fixed token only, which never asks; but a subclass of it may.
        if self._url is None:
            raise ConfigurationError("token_url is missing: the token provider asked for the token endpoint")
        request = token_request(self._url, form, repeatable=repeatable)
        try:
            return await self._send(request, timeout=_TIMEOUT)
        except CyclrError as error:
            failed = token_failure(error, self._url)
        # Outside of the except block, so that the error chains none whose frames hold the form.
        raise failed


class _RefusalError(DecodeError):
    """An OAuth error where a token should be, in an answer of status 200. It does not leave this module."""

    code = ""


def token_request(url: URL, form: Mapping[str, str], *, repeatable: bool) -> Request[AccessToken]:
    """Describe a token request: a form in the body, as the vendor documents, never in the query."""
    return Request(
        name="token",
        method="POST",
        url=url,
        # Not by the method: a POST for client credentials can be repeated at no cost, one for a refresh token never.
        safety=Safety.SAFE if repeatable else Safety.UNSAFE,
        # Hidden, because a request is an argument of every function on its way, and its body is the secret.
        body=HiddenBytes(urlencode(form).encode("ascii")),
        content_type="application/x-www-form-urlencoded",
        once=not repeatable,
        quotable=False,
        decode=_token,
        secrets=tuple(Secret(text) for text in form.values() if isinstance(text, HiddenStr)),
    )


def _token(data: object) -> AccessToken:
    token, problem, code = _parsed(data)
    if token is not None:
        return token
    if code:
        # Repeated like other passing faults only when it says that it passes.
        refused = _RefusalError(f"it answers {code!r}", path="$" if code in _PASSING else "$.error", expected=problem)
        refused.code = code
        raise refused
    raise DecodeError(f"its answer cannot be used: {problem}", path="$.access_token", expected=problem)


def _parsed(data: object) -> tuple[AccessToken | None, str, str]:
    # Returned, not raised: whoever raises says what is wrong with the answer, and not how it was taken apart.
    if not isinstance(data, dict) or not isinstance(data.get("access_token"), str):
        code = str(data.get("error")) if isinstance(data, dict) else ""
        return None, "access_token must be a str", code if code in _REFUSING | _PASSING else ""
    kind, lifetime, refresh = data.get("token_type", "bearer"), data.get("expires_in"), data.get("refresh_token")
    # The endpoint writes it in lower case, the standard (RFC 6749 section 5.1) in any.
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return None, "token_type must be bearer", ""
    # A quoted number can mean nothing else. isascii, because isdigit also knows digits of other scripts, and
    # superscripts, at which int() fails.
    if isinstance(lifetime, str) and lifetime.isascii() and lifetime.isdigit():
        lifetime = int(lifetime)
    if lifetime is not None and (isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)) or lifetime <= 0):
        return None, "expires_in must be a number of seconds greater than 0", ""
    try:
        return (
            AccessToken(
                Secret(data["access_token"]),
                expires_in=lifetime,
                # Anything else is no refresh token to anybody, and no reason to refuse the access token beside it.
                refresh_token=Secret(refresh) if isinstance(refresh, str) and refresh else None,
            ),
            "",
            "",
        )
    except ConfigurationError:
        return None, "access_token must be printable ASCII", ""


def token_failure(error: CyclrError, url: URL) -> CyclrError:
    """Return what a failed request to the token endpoint means: it is about the credentials or about the service.

    Args:
        error: what the request ended with.
        url: the token endpoint; its origin is named in the message.
    """
    failed = _meaning(error, f"the token endpoint {url.origin()}")
    # By this a bulk run tells that no account is at fault.
    failed.token_request = True
    return failed


def _meaning(error: CyclrError, endpoint: str) -> CyclrError:
    code = _code_of(error)
    if code is not None:
        said = error.server_message if isinstance(error, ResponseError) else code
        return AuthenticationError(
            f"{endpoint} refused the credentials{f' ({said})' if said else ''}: check the client id, the secret and "
            "the region",
            error=code or None,
            request_id=error.request_id,
            attempts=error.attempts,
        )
    # The name of the operation means nothing to a caller who asked for something else.
    what = error.message.removeprefix("token: ")
    # These keep their class: retry and breaker know what to do about them.
    passing = isinstance(error, (ServerError, RateLimitedError))
    if isinstance(error, DecodeError) or (isinstance(error, ResponseError) and not passing):
        if isinstance(error, UnexpectedRedirectError):
            what = f"it answered {error.status} and points to {error.location_origin or 'nowhere'}"
        elif isinstance(error, ResponseError):
            said = f" ({error.server_message})" if error.server_message else ""
            what = f"it answered {error.status}{said}"
        return TokenEndpointError(
            f"{endpoint} issues no token: {what}; check token_url, or what stands between",
            status=error.status,
            request_id=error.request_id,
            attempts=error.attempts,
            sent="yes",
        )
    # Changed in place: class, status, attempts and whether it was sent stay true of it.
    error.args = (f"{endpoint}: {what}",)
    return error


def _code_of(error: CyclrError) -> str | None:
    """Return the OAuth code of a refusal of the credentials, "" when it has none; None when it is no such refusal."""
    if isinstance(error, _RefusalError):
        return None if error.code in _PASSING else error.code
    if not isinstance(error, ResponseError) or error.status not in {400, 401, 403}:
        return None
    # The OAuth code comes first in what the server says; the body itself is not kept, it may hold a token.
    code = (error.server_message or "").partition(":")[0].strip()[:100]
    kind = error.headers.get("content-type", "").lower()
    # A page with 400 or 403 is that of a firewall or a web server that does not know the host. A 401 is clear as it is.
    page = not code and not isinstance(error, UnauthorizedError) and kind.startswith(("text/", "application/xml"))
    if page or code in _PASSING:
        return None
    return code
