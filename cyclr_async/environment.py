"""Settings from ``CYCLR_*`` environment variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cyclr_async.auth import ClientCredentials, PasswordGrant, StaticToken, partner_name
from cyclr_async.config import Limits, Region, Timeouts, api_url
from cyclr_async.errors import ConfigurationError
from cyclr_async.secret import Secret, SecretUrl

__all__ = ["VARIABLES", "settings_from"]

VARIABLES = (
    "CYCLR_ACCESS_TOKEN",
    "CYCLR_CLIENT_ID",
    "CYCLR_CLIENT_SECRET",
    "CYCLR_USERNAME",
    "CYCLR_PASSWORD",
    "CYCLR_ACCOUNT_ID",
    "CYCLR_PARTNER",
    "CYCLR_REGION",
    "CYCLR_BASE_URL",
    "CYCLR_TOKEN_URL",
    "CYCLR_TIMEOUT",
    "CYCLR_CONNECTIONS",
    "CYCLR_REQUESTS_PER_SECOND",
    "CYCLR_PROXY",
    "CYCLR_CA_FILE",
)


def settings_from(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of a session.

    Raises:
        ConfigurationError: names every missing and every invalid variable at once.
    """
    given = {name: Secret(environ[name].strip()) for name in VARIABLES if environ.get(name, "").strip()}
    environ = {}  # forgotten here, because a traceback may show the locals of this frame
    problems: list[str] = []
    settings: dict[str, Any] = {}

    def take(name: str, key: str, make: Callable[[str], Any]) -> None:
        if name in given:
            try:
                settings[key] = make(given[name].reveal())
            except ValueError as error:
                problems.append(f"{name}: {error}")

    auth = _auth(given, problems)
    take("CYCLR_PARTNER", "partner", lambda text: partner_name(text, name="it"))
    take("CYCLR_REGION", "region", Region.parse)
    take("CYCLR_BASE_URL", "base_url", lambda text: api_url(text, name="the URL"))
    take("CYCLR_TOKEN_URL", "token_url", lambda text: api_url(text, name="the URL"))
    take("CYCLR_TIMEOUT", "timeouts", lambda text: Timeouts(deadline=_number(text)))
    take("CYCLR_CONNECTIONS", "connections", lambda text: Limits(connections=_whole(text)).connections)
    take(
        "CYCLR_REQUESTS_PER_SECOND", "rate", lambda text: Limits(requests_per_second=_number(text)).requests_per_second
    )
    take("CYCLR_PROXY", "proxy", SecretUrl)
    take("CYCLR_CA_FILE", "ca_file", str)
    limits = {"connections": settings.pop("connections", None), "requests_per_second": settings.pop("rate", None)}
    limits = {name: value for name, value in limits.items() if value is not None}
    if limits:
        settings["limits"] = Limits(**limits)
    place = settings.get("base_url")
    private = place is not None and place not in {region.base_url for region in Region}
    if private and "token_url" not in settings and not isinstance(auth, StaticToken):
        problems.append("CYCLR_TOKEN_URL is missing: a private instance needs it besides CYCLR_BASE_URL")
    if problems:
        raise ConfigurationError("the environment cannot be used: " + "; ".join(problems))
    return {"auth": auth, **settings}


def _auth(given: dict[str, Secret], problems: list[str]) -> StaticToken | ClientCredentials | PasswordGrant | None:
    def text(name: str) -> str | None:
        return given[name].reveal() if name in given else None

    try:
        if "CYCLR_ACCESS_TOKEN" in given:
            return StaticToken(given["CYCLR_ACCESS_TOKEN"])
        grant = "CYCLR_USERNAME" in given or "CYCLR_PASSWORD" in given
        needed = ["CYCLR_CLIENT_ID", *(("CYCLR_USERNAME", "CYCLR_PASSWORD") if grant else ("CYCLR_CLIENT_SECRET",))]
        missing = [name for name in needed if name not in given]
        if missing:
            alternative = "" if len(missing) < len(needed) else " (or CYCLR_ACCESS_TOKEN instead)"
            problems.extend(f"{name} is missing{alternative}" for name in missing)
            return None
        client_id = text("CYCLR_CLIENT_ID") or ""
        if grant:
            return PasswordGrant(
                client_id, text("CYCLR_USERNAME") or "", given["CYCLR_PASSWORD"], account_id=text("CYCLR_ACCOUNT_ID")
            )
        return ClientCredentials(client_id, given["CYCLR_CLIENT_SECRET"], account_id=text("CYCLR_ACCOUNT_ID"))
    except ConfigurationError as error:
        problems.append(f"credentials: {error}")
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError("must be a number") from None


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError("must be a whole number")
    return int(text)
