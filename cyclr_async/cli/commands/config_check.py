"""``cyclr config check``: whether the settings work, and with which of the two APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

import attrs
import click

from cyclr_async.cli.connect import connected
from cyclr_async.cli.exit_codes import Exit, exit_code
from cyclr_async.cli.options import Command, Options, current, knows_both_apis
from cyclr_async.cli.output import Output
from cyclr_async.cli.records import Session
from cyclr_async.cli.settings import chosen_api, resolve, simulated
from cyclr_async.cli.signals import run_async
from cyclr_async.cli.terminal import echo, print_error, warn
from cyclr_async.errors import CyclrError

__all__ = ["check"]

_COLUMNS: Final = (
    "ok",
    "base_url",
    "application_display_name",
    "domain",
    "v1_url",
    "partner_api",
    "v1_api",
    "partner_api_problem",
    "v1_api_problem",
)
_SECONDS: Final = 30.0
"""For each of the two, unless ``--timeout`` says otherwise: a host that is silent should not hold up the other."""
_TITLES: Final = {"partner": "the partner API", "v1": "the v1.0 API"}


@attrs.frozen
class _Answers:
    """What the two said: what was read, or why nothing was."""

    partner: Any
    v1: Any

    def of(self, name: str) -> Any:
        return getattr(self, name)

    def problem(self, name: str) -> CyclrError | None:
        found = self.of(name)
        return found if isinstance(found, CyclrError) else None


@click.command(
    cls=Command,
    examples=("cyclr config check", "cyclr config check --profile live -o json", "cyclr config check --simulate"),
)
@knows_both_apis
@click.pass_context
def check(ctx: click.Context) -> None:
    """Say which of the two APIs answers with these credentials.

    It signs in, asks the partner API for the partner's settings, and v1.0 for one account: nothing is changed. The exit
    code is 0 when one of them answers; with --api, CYCLR_API or a profile that names one: when that one does.
    """
    ctx.exit(run_async(_check(current(ctx))))


async def _check(options: Options) -> Exit:
    asked = chosen_api(options)
    wanted = None if asked.source == "default" else asked.value.reveal()
    with Output(options, _COLUMNS, many=False) as output:
        async with connected(options) as session:
            found = await _ask(session, options)
            answering = [name for name in _TITLES if found.problem(name) is None]
            good = wanted in answering if wanted is not None else bool(answering)
            details = None if found.problem("partner") is not None else found.partner
            output.write(
                {
                    "ok": good,
                    "base_url": str(session.root),
                    "application_display_name": None if details is None else details.application_display_name,
                    "domain": None if details is None else details.domain,
                    "v1_url": _v1_url(session),
                    **{f"{name}_api": name in answering for name in _TITLES},
                    **{f"{name}_api_problem": _line(found.problem(name)) for name in _TITLES},
                }
            )
    _tell(options, found, answering, wanted)
    if good:
        return Exit.DONE
    codes = {exit_code(error) for name in _TITLES if (error := found.problem(name)) and wanted in {None, name}}
    # What the user can mend at once is told first: credentials before settings before a service that is out.
    return next(code for code in (Exit.CREDENTIALS, Exit.USAGE, Exit.FAILED) if code in codes)


async def _ask(session: Session, options: Options) -> _Answers:
    time = _SECONDS if options.timeout is None else options.timeout
    # Together: an instance has one of the two hosts perhaps, and the other is waited for.
    partner, v1 = await asyncio.gather(_tried(session.details(timeout=time)), _tried(_ask_v1(session, options, time)))
    return _Answers(partner, v1)


async def _ask_v1(session: Session, options: Options, time: float) -> None:
    account = None if simulated(options) else resolve(options).found.get("account_id")
    page = {"page": 1, "pageSize": 1}
    if account is None:
        await session.v1.accounts.list(page=1, page_size=1, timeout=time)
    else:
        # A token that is restricted to an account opens nothing of the partner's.
        await session.v1.account(account.value.reveal()).request("GET", "cycles", query=page, timeout=time)


async def _tried(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except CyclrError as error:
        return error


def _v1_url(session: Session) -> str | None:
    try:
        return str(session.v1.root)
    except CyclrError:
        return None  # its problem says why


def _tell(options: Options, found: _Answers, answering: list[str], wanted: str | None) -> None:
    for name, title in _TITLES.items():
        problem = found.problem(name)
        if problem is not None:
            say = warn if answering and wanted != name else print_error
            say(f"{title} does not answer with these credentials: {problem}")
    if len(answering) == len(_TITLES):
        echo(options, "both APIs answer with these credentials")
    elif answering:
        (name,) = answering
        how = "" if name in {wanted, "partner"} else '; for commands that know both: CYCLR_API=v1, or api = "v1"'
        echo(options, f"only {_TITLES[name]} answers with these credentials{how}")


def _line(error: CyclrError | None) -> str | None:
    return None if error is None else str(error)
