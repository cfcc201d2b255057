"""The request to the token endpoint, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from yarl import URL

from cyclr_async.auth import AccessToken
from cyclr_async.errors import AuthenticationError, BadRequestError, ConfigurationError, DecodeError, ResponseError
from cyclr_async.http.call import Answer, Call, Safety
from cyclr_async.secret import HiddenBytes, HiddenStr, Secret
from cyclr_async.wire.jsonic import loads

__all__ = ["refusal", "token_call"]


def token_call(url: URL, form: Mapping[str, str], *, repeatable: bool) -> Call[AccessToken]:
    """Describe a token request: a form in the body, as the vendor documents, never in the query."""
    return Call(
        name="token",
        method="POST",
        url=url,
        safety=Safety.SAFE if repeatable else Safety.UNSAFE,
        body=HiddenBytes(urlencode(form).encode("ascii")),
        content_type="application/x-www-form-urlencoded",
        once=not repeatable,
        authorized=False,
        decode=_token,
        secrets=tuple(Secret(text) for text in form.values() if isinstance(text, HiddenStr)),
    )


def _token(answer: Answer) -> AccessToken:
    token, problem = _parsed(answer.body)
    if token is None:
        raise DecodeError(
            f"the token endpoint's answer cannot be used: {problem}", path="$.access_token", expected=problem
        )
    return token


def _parsed(body: bytes) -> tuple[AccessToken | None, str]:
    # Returned, not raised, so that no traceback passes through a frame that holds the plain token.
    data = loads(body)
    if not isinstance(data, dict) or not isinstance(data.get("access_token"), str):
        return None, "access_token must be a str"
    kind, lifetime, refresh = data.get("token_type", "bearer"), data.get("expires_in"), data.get("refresh_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return None, "token_type must be bearer"
    if isinstance(lifetime, str) and lifetime.isascii() and lifetime.isdigit():
        lifetime = int(lifetime)
    if lifetime is not None and (isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)) or lifetime <= 0):
        return None, "expires_in must be a number of seconds greater than 0"
    try:
        return AccessToken(
            Secret(data["access_token"]),
            expires_in=lifetime,
            refresh_token=Secret(refresh) if isinstance(refresh, str) and refresh else None,
        ), ""
    except ConfigurationError:
        return None, "access_token must be printable ASCII"


def refusal(error: ResponseError) -> AuthenticationError | None:
    """Return what an error status of the token endpoint says about the credentials; None when it says nothing."""
    if not isinstance(error, BadRequestError) and error.status not in {401, 403}:
        return None
    # The OAuth code comes first in what the server says; the body itself is not kept, it may hold a token.
    code = (error.server_message or "").partition(":")[0].strip()[:100] or None
    said = f" ({error.server_message})" if error.server_message else ""
    return AuthenticationError(
        f"the token endpoint refused the credentials{said}: check the client id, the secret and the region",
        error=code,
        request_id=error.request_id,
        attempts=error.attempts,
    )
