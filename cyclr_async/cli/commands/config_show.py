"""``cyclr config show``: which settings are in force, and where each comes from."""

from __future__ import annotations

import os

import click

from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.settings import resolve
from cyclr_async.settings import SETTINGS

__all__ = ["show"]


@click.command(cls=Command, examples=("cyclr config show", "cyclr config show --profile live -o json"))
@click.pass_context
def show(ctx: click.Context) -> None:
    """Show every setting and where it comes from; secrets are masked."""
    options = current(ctx)
    settings = resolve(options)
    with Output(options, ("setting", "value", "source")) as output:
        where = "" if settings.profile.path.exists() else " (not there)"
        output.write(
            {
                "setting": "config_file",
                "value": f"{settings.profile.path}{where}",
                "source": "default" if "CYCLR_CONFIG" not in _environ() else "environment (CYCLR_CONFIG)",
            }
        )
        output.write({"setting": "profile", "value": settings.profile.name, "source": _profile_source(options)})
        for name, setting in SETTINGS.items():
            found = settings.found.get(name)
            if found is None:
                place_given = name == "region" and "base_url" in settings.found
                output.write({"setting": name, "value": None if place_given else setting.default, "source": "default"})
                continue
            # Not even its length: a file with settings is what people paste into a bug report.
            value = "***" if setting.secret else found.value.reveal()
            output.write({"setting": name, "value": value, "source": found.source})


def _environ() -> dict[str, str]:
    return dict(os.environ)


def _profile_source(options: Options) -> str:
    if options.profile is not None:
        return "flag"
    return "environment (CYCLR_PROFILE)" if _environ().get("CYCLR_PROFILE") else "default"
