"""Where each setting comes from: flag, ``CYCLR_*`` variable, profile, default; in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import attrs

from cyclr_async.cli.exit_codes import CredentialsMissingError
from cyclr_async.cli.options import Options
from cyclr_async.cli.profiles import Profile, load_profile, run_secret_command
from cyclr_async.cli.secret_input import read_secret
from cyclr_async.environment import api_name, session_arguments
from cyclr_async.errors import ConfigurationError
from cyclr_async.secret import Secret
from cyclr_async.settings import SETTINGS

__all__ = ["Found", "Settings", "chosen_api", "resolve", "simulated"]

_KIND_KEYS: Final = {
    "access_token": ("access_token",),
    "password": ("username", "password"),
    "client": ("client_secret",),
}
_NEEDED: Final = {
    "access_token": ("access_token",),
    "password": ("client_id", "username", "password"),
    "client": ("client_id", "client_secret"),
}
_PLACE: Final = {"region", "base_url", "token_url", "v1_url"}
_TRUE: Final = frozenset({"1", "true", "yes", "on"})


@attrs.frozen
class Found:
    """A setting and where it was found.

    Attributes:
        value: as a text.
        source: for ``cyclr config show``.
        label: what the user calls it, for messages.
    """

    value: Secret
    source: str
    label: str


@attrs.frozen
class Settings:
    """Every setting that is not left at its default, by its name in the configuration file."""

    found: Mapping[str, Found]
    profile: Profile
    kind: str | None
    pending_command: str | None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a session; runs ``secret_command`` when it is needed.

        Raises:
            CredentialsMissingError: there are no credentials.
            ConfigurationError: a setting cannot be used.
        """
        self._check_complete()
        given = {name: found.value for name, found in self.found.items()}
        if self.pending_command is not None:
            # Everything else first: the command may ask its user for something.
            session_arguments({**given, self.pending_command: Secret("pending")}, self.labels())
            given[self.pending_command] = run_secret_command(self.profile)
        return session_arguments(given, self.labels())

    def place(self) -> dict[str, Any]:
        """Return the arguments that say where the API is, without credentials.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        given = {name: found.value for name, found in self.found.items() if name in _PLACE | {"http_hosts"}}
        arguments = session_arguments({**given, "access_token": Secret("none")}, self.labels())
        return {name: value for name, value in arguments.items() if name != "auth"}

    def labels(self) -> dict[str, str]:
        """Return what the user calls each setting that was given."""
        labels = {name: found.label for name, found in self.found.items()}
        if "base_url" in labels and "token_url" not in labels:
            # What is missing belongs where the other half was given.
            labels["token_url"] = self.found["base_url"].label.replace("base", "token", 1).replace("BASE", "TOKEN", 1)
        return labels

    def _check_complete(self) -> None:
        needed = _NEEDED[self.kind or "client"]
        missing = [name for name in needed if name not in self.found]
        if not missing:
            return
        if len(missing) < len(needed):
            names = " and ".join(SETTINGS[name].variable for name in missing)
            raise CredentialsMissingError(f"the credentials are incomplete: set {names}, or add it to a profile")
        raise CredentialsMissingError(
            "no credentials: set CYCLR_CLIENT_ID and CYCLR_CLIENT_SECRET (or CYCLR_ACCESS_TOKEN), or put a profile "
            f"into {self.profile.path}; to try the command without an account, add --simulate"
        )


def simulated(options: Options, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether the simulated API is to be used."""
    if options.simulate is not None:
        return options.simulate
    environ = os.environ if environ is None else environ
    return environ.get("CYCLR_SIMULATE", "").strip().lower() in _TRUE


def resolve(options: Options, environ: Mapping[str, str] | None = None) -> Settings:
    """Find every setting, once for a command.

    A place given nearer (region or URLs) hides one given farther away, and so does a way of signing in: an access
    token in a profile is not mixed with client credentials in the environment.

    Raises:
        ConfigurationError: the configuration file cannot be used.
    """
    if environ is not None:  # somebody else's, and nothing of this command
        return _resolved(options, environ)
    if options.resolved is None:
        options.resolved = _resolved(options, os.environ)
    return options.resolved


def chosen_api(options: Options) -> Found:
    """Return which API a command is to use: ``partner`` or ``v1``, and who says so.

    Raises:
        ConfigurationError: the configuration file cannot be used, or names another.
    """
    found = resolve(options).found.get("api")
    if found is None:
        return Found(Secret(SETTINGS["api"].default or ""), "default", "--api")
    try:
        return attrs.evolve(found, value=Secret(api_name(found.value.reveal())))
    except ConfigurationError as error:
        raise ConfigurationError(f"{found.label}: {error}") from None


def _resolved(options: Options, environ: Mapping[str, str]) -> Settings:
    named_by = "--profile" if options.profile else "CYCLR_PROFILE"
    profile = load_profile(options.profile or environ.get("CYCLR_PROFILE") or None, environ, named_by=named_by)
    variables = {
        name: Secret(environ[setting.variable].strip())
        for name, setting in SETTINGS.items()
        if environ.get(setting.variable, "").strip()
    }
    stored = dict(profile.values)
    command = _what_the_command_gives(profile)
    if command is not None:
        stored[command] = Secret("")
    found: dict[str, Found] = {}
    kind: str | None = None
    for source, layer in (
        ("flag", _flags(options)),
        ("environment", variables),
        (f"profile {profile.name}", stored),
    ):
        kind = kind or _kind(layer)
        place = bool(_PLACE & found.keys())
        for name, value in layer.items():
            hidden = name in found or (place and name in _PLACE) or _of_another_kind(name, kind)
            if not hidden:
                found[name] = _found(name, value, source, profile, by_command=name == command)
    needed = command is not None and command in found and found[command].source.endswith("(secret_command)")
    return Settings(found, profile, kind, command if needed else None)


def _found(name: str, value: Secret, source: str, profile: Profile, *, by_command: bool) -> Found:
    setting = SETTINGS[name]
    if source == "flag":
        return Found(value, source, setting.flag or name)
    if source == "environment":
        return Found(value, f"environment ({setting.variable})", setting.variable)
    key = "secret_command" if by_command else name
    shown = f"{source} (secret_command)" if by_command else source
    return Found(value, shown, f"{key} in profile {profile.name!r} of {profile.path}")


def _flags(options: Options) -> dict[str, Secret]:
    texts = {
        "region": options.region,
        "base_url": options.base_url,
        "token_url": options.token_url,
        "v1_url": options.v1_url,
        "client_id": options.client_id,
        "partner": options.partner,
        "api": options.api,
        "http_hosts": ",".join(options.http_host) if options.http_host else None,
        "timeout": None if options.timeout is None else str(options.timeout),
        "shared": options.shared,
    }
    flags = {name: Secret(text) for name, text in texts.items() if text is not None}
    secret = read_secret("--client-secret", options.client_secret_file, options.client_secret_stdin)
    if secret is not None:
        flags["client_secret"] = secret
    return flags


def _kind(layer: Mapping[str, Secret]) -> str | None:
    return next((kind for kind, names in _KIND_KEYS.items() if any(name in layer for name in names)), None)


def _of_another_kind(name: str, kind: str | None) -> bool:
    return kind is not None and any(name in names for other, names in _KIND_KEYS.items() if other != kind)


def _what_the_command_gives(profile: Profile) -> str | None:
    if profile.secret_command is None:
        return None
    if "username" in profile.values:
        return "password"
    return "client_secret" if "client_id" in profile.values else "access_token"
