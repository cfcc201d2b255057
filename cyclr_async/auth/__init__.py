"""Who we are: token providers, the current token of a session, and the token endpoint."""

from __future__ import annotations

from cyclr_async.auth.providers import (
    AccessToken,
    ClientCredentials,
    Exchange,
    PartnerIdentity,
    PasswordGrant,
    RefreshToken,
    StaticToken,
    TokenProvider,
    as_provider,
    identity,
    partner_name,
    said_partner,
)

__all__ = [
    "AccessToken",
    "ClientCredentials",
    "Exchange",
    "PartnerIdentity",
    "PasswordGrant",
    "RefreshToken",
    "StaticToken",
    "TokenProvider",
    "as_provider",
    "identity",
    "partner_name",
    "said_partner",
]
