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
from platformdirs import user_config_dir

from cyclr_async.cli.terminal import warn
from cyclr_async.cli.text_input import decoded
from cyclr_async.errors import ConfigurationError
from cyclr_async.secret import Secret
from cyclr_async.settings import SETTINGS

__all__ = ["Profile", "config_path", "load_profile", "run_secret_command"]

_SECONDS: Final = 60


@attrs.frozen
class Profile:
    """The settings of one profile, as texts; ``name`` is None when there is no configuration file or no profile.

    Attributes:
        name: of the profile.
        path: of the configuration file, whether it exists or not.
        values: what the profile sets, by the names in :data:`~cyclr_async.settings.SETTINGS`.
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
    return Path(user_config_dir("cyclr")) / "config.toml"


def load_profile(name: str | None, environ: Mapping[str, str], *, named_by: str = "--profile") -> Profile:
    """Read a profile: the named one, or ``default_profile``, or the only one, or the one called ``default``.

    Args:
        name: of the profile, or None.
        environ: the variables that say where the file is.
        named_by: who gave the name, for the message.

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
        if "default_profile" in data:
            named_by = "default_profile"
        name = data.get("default_profile", fallback)
    if name is None:
        return Profile(None, path, {})
    section = profiles.get(name) if isinstance(name, str) else None
    if not isinstance(section, dict):
        known = ", ".join(profiles) or "none"
        raise ConfigurationError(f"{named_by}: there is no profile {name!r} in {path}; its profiles are: {known}")
    return _profile(str(name), path, section)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = tomllib.loads(decoded(stream.read()))
    except FileNotFoundError:
        return {}
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except tomllib.TOMLDecodeError as error:
        # The message names line and column, and never the text that stands there.
        problem = str(error)
    except ValueError as error:
        problem = f"it {error}"
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
        elif key not in SETTINGS:
            problems.append(f"{key} is unknown")
        elif key == "http_hosts" and isinstance(value, list) and all(isinstance(host, str) for host in value):
            values[key] = Secret(",".join(value))
        elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
            problems.append(f"{key} must be a text or a number")
        else:
            values[key] = Secret(str(value))
    if problems:
        known = ", ".join((*SETTINGS, "secret_command"))
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
        problem = f"ended with code {done.returncode}" if done.returncode else "printed nothing"
        try:
            text = decoded(done.stdout).partition("\n")[0].strip()
        except ValueError as error:
            text, problem = "", problem if done.returncode else f"printed what {error}"
        if done.returncode == 0 and text:
            return Secret(text)
    raise ConfigurationError(f"{shown} {problem}")
