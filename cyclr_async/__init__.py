"""Async client for the Cyclr partner API. The names below are the public interface; importing this module is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclr_async._version import __version__

if TYPE_CHECKING:
    from cyclr_async.auth.providers import (
        AccessToken,
        ClientCredentials,
        Exchange,
        PartnerIdentity,
        PasswordGrant,
        RefreshToken,
        StaticToken,
        TokenProvider,
    )
    from cyclr_async.auth.token_manager import OnToken
    from cyclr_async.config import Limits, Region, RetryPolicy, Timeouts
    from cyclr_async.errors import (
        AlreadyExistsError,
        AuthenticationError,
        BadRequestError,
        BulkInterruptedError,
        ConfigurationError,
        ConflictError,
        ConnectError,
        CyclrError,
        DeadlineExceededError,
        DecodeError,
        DesynchronizedError,
        DnsError,
        ForbiddenError,
        InvalidArgumentError,
        NotFoundError,
        OutcomeUnknownError,
        ProtocolError,
        RateLimitedError,
        ReadTimeoutError,
        ResponseError,
        ResponseTooLargeError,
        ServerError,
        SessionClosedError,
        SharedStateError,
        StoreError,
        TlsError,
        TokenEndpointError,
        TransportError,
        TruncatedResponseError,
        UnauthorizedError,
        UnexpectedRedirectError,
        UnprocessableError,
        WrongEventLoopError,
    )
    from cyclr_async.http.clock import Clock
    from cyclr_async.http.events import (
        AttemptEvent,
        Event,
        EventHook,
        OutcomeEvent,
        RetryEvent,
        SharedStateEvent,
        ThrottleEvent,
        TokenEvent,
    )
    from cyclr_async.http.raw_request import Query, RawResponse
    from cyclr_async.http.stats import Stats
    from cyclr_async.partner import (
        Account,
        Accounts,
        AccountUsage,
        Connectors,
        PartnerDetails,
        PricePlan,
        PricePlans,
        SignInToken,
        Tokens,
    )
    from cyclr_async.secret import Secret, SecretUrl
    from cyclr_async.session import AsyncPartnerSession, SessionOptions
    from cyclr_async.shared.state import SharedState
    from cyclr_async.usage.collect.outcome import UsageOutcome
    from cyclr_async.wire.unset import UNSET, Unset

_HOMES = {
    "auth": "AccessToken ClientCredentials Exchange PartnerIdentity PasswordGrant RefreshToken StaticToken "
    "TokenProvider",
    "auth.token_manager": "OnToken",
    "config": "Limits Region RetryPolicy Timeouts",
    "errors": "AlreadyExistsError AuthenticationError BadRequestError BulkInterruptedError ConfigurationError "
    "ConflictError ConnectError "
    "CyclrError DeadlineExceededError DecodeError DesynchronizedError DnsError ForbiddenError InvalidArgumentError "
    "NotFoundError OutcomeUnknownError ProtocolError RateLimitedError ReadTimeoutError ResponseError "
    "ResponseTooLargeError ServerError SessionClosedError SharedStateError StoreError TlsError TokenEndpointError "
    "TransportError TruncatedResponseError UnauthorizedError UnexpectedRedirectError UnprocessableError "
    "WrongEventLoopError",
    "http.clock": "Clock",
    "http.events": "AttemptEvent Event EventHook OutcomeEvent RetryEvent SharedStateEvent ThrottleEvent TokenEvent",
    "http.raw_request": "Query RawResponse",
    "http.stats": "Stats",
    "partner": "Account AccountUsage Accounts Connectors PartnerDetails PricePlan PricePlans SignInToken Tokens",
    "secret": "Secret SecretUrl",
    "session": "AsyncPartnerSession SessionOptions",
    "shared.state": "SharedState",
    "usage.collect.outcome": "UsageOutcome",
    "wire.unset": "UNSET Unset",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "UNSET",
    "AccessToken",
    "Account",
    "AccountUsage",
    "Accounts",
    "AlreadyExistsError",
    "AsyncPartnerSession",
    "AttemptEvent",
    "AuthenticationError",
    "BadRequestError",
    "BulkInterruptedError",
    "ClientCredentials",
    "Clock",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "Connectors",
    "CyclrError",
    "DeadlineExceededError",
    "DecodeError",
    "DesynchronizedError",
    "DnsError",
    "Event",
    "EventHook",
    "Exchange",
    "ForbiddenError",
    "InvalidArgumentError",
    "Limits",
    "NotFoundError",
    "OnToken",
    "OutcomeEvent",
    "OutcomeUnknownError",
    "PartnerDetails",
    "PartnerIdentity",
    "PasswordGrant",
    "PricePlan",
    "PricePlans",
    "ProtocolError",
    "Query",
    "RateLimitedError",
    "RawResponse",
    "ReadTimeoutError",
    "RefreshToken",
    "Region",
    "ResponseError",
    "ResponseTooLargeError",
    "RetryEvent",
    "RetryPolicy",
    "Secret",
    "SecretUrl",
    "ServerError",
    "SessionClosedError",
    "SessionOptions",
    "SharedState",
    "SharedStateError",
    "SharedStateEvent",
    "SignInToken",
    "StaticToken",
    "Stats",
    "StoreError",
    "ThrottleEvent",
    "Timeouts",
    "TlsError",
    "TokenEndpointError",
    "TokenEvent",
    "TokenProvider",
    "Tokens",
    "TransportError",
    "TruncatedResponseError",
    "UnauthorizedError",
    "UnexpectedRedirectError",
    "UnprocessableError",
    "Unset",
    "UsageOutcome",
    "WrongEventLoopError",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562), so that ``cyclr --help`` and pytest start without aiohttp."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
