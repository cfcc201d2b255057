"""Settings given as texts, by ``CYCLR_*`` variables, flags or a profile, made into the arguments of a session."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from cyclr_async.auth.providers import ClientCredentials, PasswordGrant, StaticToken, partner_name
from cyclr_async.config import Limits, Region, Timeouts, api_url
from cyclr_async.errors import ConfigurationError
from cyclr_async.hosts import plain_http_hosts
from cyclr_async.secret import Secret, SecretUrl
from cyclr_async.settings import APIS, SETTINGS

__all__ = ["VARIABLES", "api_name", "blamed", "session_arguments", "settings_from"]

VARIABLES = tuple(setting.variable for setting in SETTINGS.values())


def settings_from(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of a session from ``CYCLR_*`` variables.

    Raises:
        ConfigurationError: names every missing and every invalid variable at once.
    """
    given = {
        name: Secret(environ[setting.variable].strip())
        for name, setting in SETTINGS.items()
        if environ.get(setting.variable, "").strip()
    }
    environ = {}  # forgotten here, because a traceback may show the locals of this frame
    return session_arguments(given, {}, prefix="the environment cannot be used: ")


def session_arguments(given: Mapping[str, Secret], labels: Mapping[str, str], *, prefix: str = "") -> dict[str, Any]:
    """Return the arguments of a session.

    Args:
        given: the settings as texts, by their names in :data:`~cyclr_async.settings.SETTINGS`.
        labels: what the user calls a setting, for the messages; its variable where nothing is said.
        prefix: begins the message.

    Raises:
        ConfigurationError: names everything that is missing or invalid at once.
    """
    labels = {name: labels.get(name, setting.variable) for name, setting in SETTINGS.items()}
    problems: list[str] = []
    settings: dict[str, Any] = {}

    def take(name: str, make: Callable[[str], Any], key: str | None = None) -> None:
        if name in given:
            try:
                settings[key or name] = make(given[name].reveal())
            except ValueError as error:
                problems.append(f"{labels[name]}: {error}")

    auth = _auth(given, labels, problems)
    take("partner", lambda text: partner_name(text, name="it"))
    take("region", Region.parse)
    take("http_hosts", lambda text: plain_http_hosts(filter(None, (part.strip() for part in text.split(",")))))
    plain = settings.get("http_hosts", frozenset())
    for name in ("base_url", "token_url", "v1_url"):
        take(name, lambda text: api_url(text, name="the URL", http_hosts=plain))
    take("api", api_name)
    settings.pop("api", None)  # checked here like the others, and no argument of a session: it has both
    take("timeout", lambda text: Timeouts(deadline=_positive(text)), "timeouts")
    limits: dict[str, Any] = {}
    for name, number in (("connections", _whole), ("requests_per_second", _positive)):
        take(name, lambda text, name=name, number=number: limits.update({name: number(text)}))  # type: ignore[misc]
        settings.pop(name, None)
    take("shared", SecretUrl)
    take("proxy", SecretUrl)
    take("ca_file", str)
    if limits:
        settings["limits"] = Limits(**limits)
    place = settings.get("base_url")
    private = place is not None and place not in {region.base_url for region in Region}
    if private and "token_url" not in given and not isinstance(auth, StaticToken):
        problems.append(f"{labels['token_url']} is missing: a private instance needs it besides {labels['base_url']}")
    if problems:
        raise ConfigurationError(prefix + "; ".join(problems))
    return {"auth": auth, **settings}


def api_name(text: str) -> str:
    """Return which of the two APIs a text names, whatever its case.

    Raises:
        ConfigurationError: neither of them.
    """
    if text.lower() not in APIS:
        raise ConfigurationError(f"must be {' or '.join(APIS)}")
    return text.lower()


def blamed(error: ConfigurationError, labels: Mapping[str, str]) -> ConfigurationError:
    """Return an error of the session under the name by which the user gave the setting that it is about.

    Args:
        error: its message names arguments of a session, such as ``ca_file``.
        labels: what the user calls each setting that was given.
    """
    text = str(error)
    names = [label for name, label in labels.items() if re.search(rf"\b{name}\b", text) and label not in text]
    return ConfigurationError(f"{', '.join(names)}: {text}") if names else error


def _auth(
    given: Mapping[str, Secret], labels: Mapping[str, str], problems: list[str]
) -> StaticToken | ClientCredentials | PasswordGrant | None:
    def text(name: str) -> str | None:
        return given[name].reveal() if name in given else None

    used = {name: label for name, label in labels.items() if name in given}
    try:
        if "access_token" in given:
            used = {"token": labels["access_token"]}  # as the message calls it
            return StaticToken(given["access_token"])
        grant = "username" in given or "password" in given
        needed = ["client_id", *(("username", "password") if grant else ("client_secret",))]
        missing = [name for name in needed if name not in given]
        if missing:
            alternative = "" if len(missing) < len(needed) else f" (or {labels['access_token']} instead)"
            problems.extend(f"{labels[name]} is missing{alternative}" for name in missing)
            return None
        client_id = text("client_id") or ""
        if grant:
            return PasswordGrant(client_id, text("username") or "", given["password"], account_id=text("account_id"))
        return ClientCredentials(client_id, given["client_secret"], account_id=text("account_id"))
    except ConfigurationError as error:
        problems.append(str(blamed(error, used)))
        return None


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ConfigurationError("must be a finite number, more than 0")
    return number


def _whole(text: str) -> int:
    # Other digits than these are numbers for int(), and typing errors for everybody else.
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise ConfigurationError("must be a whole number, 1 or more")
    return int(text)
