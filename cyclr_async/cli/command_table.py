"""The one table of commands: where each is, and its line in the help. Nothing is imported before it is called.

A group has no module, so its help is shown from here alone. ``tests/cli/test_command_table.py`` loads every entry and
compares the lines with those of the commands themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["COMMANDS", "Entry"]


class Entry(NamedTuple):
    """A command or a group.

    Attributes:
        help: the first sentence of its help; of a group, all of it.
        target: ``module:attribute`` below ``cyclr_async.cli.commands``; empty for a group.
    """

    help: str
    target: str = ""


# Help lists them in this order: the main job first, then what is set up once.
COMMANDS: Final[Mapping[str, Entry]] = {
    "usage": Entry("The usage of accounts, for billing."),
    "usage collect": Entry("Collect the usage of every account.", "usage_collect:collect"),
    "usage resume": Entry(
        "Go on with the unfinished run of a store; only what is missing is asked for.", "usage_resume:resume"
    ),
    "usage status": Entry("Show the runs of a store and how far each is.", "usage_status:status"),
    "usage export": Entry("Write what a store holds as CSV, JSON Lines, JSON or Parquet.", "usage_export:export"),
    "usage report": Entry(
        "Show the usage of a month: who used how much, what changed, and who is missing.", "usage_report:report"
    ),
    "usage history": Entry("Show what a store knows of one account, period by period.", "usage_history:history"),
    "usage invoice": Entry(
        "Write invoice lines: what was included, what is over, at which tier, and why.", "usage_invoice:invoice"
    ),
    "usage close": Entry(
        "Freeze the figures of a month, such as 2026-10, with who did it, when, and from what.", "usage_close:close"
    ),
    "usage reopen": Entry(
        "Open a closed month again, such as 2026-10; who closed it, what was frozen, and why it was opened stay.",
        "usage_reopen:reopen",
    ),
    "usage closings": Entry(
        "Show which months were closed, newest first, those that were opened again too.", "usage_closings:closings"
    ),
    "usage differences": Entry(
        "Show the accounts whose closed month, such as 2026-10, would be another today; the month stays as it is.",
        "usage_differences:differences",
    ),
    "usage repair": Entry(
        "Save what is sound of a damaged store; the old file is kept beside it.", "usage_repair:repair"
    ),
    "usage rekey": Entry(
        "Give a store the name of its partner anew, when that has changed: nothing else in it changes.",
        "usage_rekey:rekey",
    ),
    "prices": Entry("Price books, by which usage is billed."),
    "prices check": Entry(
        "Check a price book; what is wrong is said with line and key, and all of it at once.", "prices:check"
    ),
    "accounts": Entry("The accounts of the partner."),
    "accounts list": Entry("List every account, as the answer arrives.", "accounts:list_accounts"),
    "accounts create": Entry("Create an account and print its id.", "accounts:create"),
    "accounts update": Entry("Change an account; what is not named stays as it is.", "accounts:update"),
    "partner": Entry("Show the settings of the partner; its Intercom keys stay hidden.", "partner:partner"),
    "plans": Entry("List the price plans.", "plans:plans"),
    "connectors": Entry("Connectors installed in accounts."),
    "connectors install": Entry(
        "Install a connector in an account; not possible for connectors that sign in with OAuth.", "connectors:install"
    ),
    "token": Entry("Sign-in tokens for users of the partner's application."),
    "token create": Entry("Create a link that signs a user in to an account.", "tokens:create"),
    "api": Entry("Send a request to any operation of either API, and write the JSON of its answer.", "api:api"),
    "simulate": Entry(
        "Serve both APIs with invented accounts, or those of a file, for programs in any language.",
        "simulate:simulate",
    ),
    "config": Entry("Settings: flag before CYCLR_* variable before profile before default."),
    "config show": Entry("Show every setting and where it comes from; secrets are masked.", "config:show"),
    "config check": Entry("Sign in and ask for the partner's settings: nothing is changed.", "config:check"),
    "completion": Entry("Print the completion script of a shell.", "completion:completion"),
}
