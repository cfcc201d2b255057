"""The configuration file: one TOML with named profiles."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from cyclr_async.cli.terminal import warn
from cyclr_async.errors import ConfigurationError
from cyclr_async.secret import Secret

__all__ = ["Profile", "config_path", "load_profile", "run_secret_command"]

KEYS: Final = (
    "access_token",
    "client_id",
    "client_secret",
    "username",
    "password",
    "account_id",
    "partner",
    "region",
    "base_url",
    "token_url",
    "timeout",
    "connections",
    "requests_per_second",
    "proxy",
    "ca_file",
)
_SECONDS: Final = 60


@attrs.frozen
class Profile:
    """The settings of one profile, as texts; ``name`` is None when there is no configuration file or no profile.

    Attributes:
        name: of the profile.
        path: of the configuration file, whether it exists or not.
        values: what the profile sets, by the names in ``KEYS``.
        secret_command: a command that prints the secret, or None.
    """

    name: str | None
    path: Path
    values: Mapping[str, Secret]
    secret_command: tuple[str, ...] | None = attrs.field(default=None, repr=False)


def config_path(environ: Mapping[str, str]) -> Path:
    """Return where the configuration file is: ``CYCLR_CONFIG``, or the user's configuration folder."""
    if environ.get("CYCLR_CONFIG"):
        return Path(environ["CYCLR_CONFIG"]).expanduser()
    from platformdirs import user_config_dir  # noqa: PLC0415 - help must start fast

    return Path(user_config_dir("cyclr")) / "config.toml"


def load_profile(name: str | None, environ: Mapping[str, str]) -> Profile:
    """Read a profile: the named one, or ``default_profile``, or the only one, or the one called ``default``.

    Raises:
        ConfigurationError: the file cannot be read or understood, or has no such profile.
    """
    path = config_path(environ)
    data = _read(path)
    profiles = data.get("profiles", {})
    if not isinstance(profiles, dict):
        raise ConfigurationError(f"{path}: profiles must be tables, such as [profiles.live]")
    if name is None:
        fallback = next(iter(profiles)) if len(profiles) == 1 else "default" if "default" in profiles else None
        name = data.get("default_profile", fallback)
    if name is None:
        return Profile(None, path, {})
    section = profiles.get(name)
    if not isinstance(section, dict):
        known = ", ".join(profiles) or "none"
        raise ConfigurationError(f"there is no profile {name!r} in {path}; its profiles are: {known}")
    return _profile(str(name), path, section)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = tomllib.load(stream)
    except FileNotFoundError:
        return {}
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except tomllib.TOMLDecodeError as error:
        # The message names line and column, and never the text that stands there.
        problem = str(error)
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    else:
        if sys.platform != "win32" and mode & 0o077:
            warn(f"{path} can be read by others on this machine; run: chmod 600 {shlex.quote(str(path))}")
        return data
    raise ConfigurationError(f"{path} cannot be read: {problem}")


def _profile(name: str, path: Path, section: Mapping[str, Any]) -> Profile:
    values: dict[str, Secret] = {}
    problems = []
    command: tuple[str, ...] | None = None
    for key, value in section.items():
        if key == "secret_command":
            command = _command(value)
            if not command:
                problems.append("secret_command must be a text or a list of texts")
        elif key not in KEYS:
            problems.append(f"{key} is unknown")
        elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
            problems.append(f"{key} must be a text or a number")
        else:
            values[key] = Secret(str(value))
    if problems:
        known = ", ".join((*KEYS, "secret_command"))
        raise ConfigurationError(f"profile {name!r} in {path}: {'; '.join(problems)} (known: {known})")
    return Profile(name, path, values, command)


def _command(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            return None
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    return None


def run_secret_command(profile: Profile) -> Secret:
    """Run ``secret_command`` without a shell and return the first line that it prints.

    Raises:
        ConfigurationError: it failed or printed nothing. What it printed is not shown.
    """
    assert profile.secret_command is not None
    shown = f"secret_command of profile {profile.name!r} ({profile.secret_command[0]})"
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, without a shell
            profile.secret_command, stdout=subprocess.PIPE, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        problem = f"took longer than {_SECONDS} s"
    except OSError as error:
        problem = f"cannot be run: {error.strerror or type(error).__name__}"
    else:
        text = done.stdout.decode("utf-8", "replace").partition("\n")[0].strip()
        if done.returncode == 0 and text:
            return Secret(text)
        problem = f"ended with code {done.returncode}" if done.returncode else "printed nothing"
    raise ConfigurationError(f"{shown} {problem}")
