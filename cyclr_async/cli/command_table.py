"""The one table of commands: where each is, and its line in the help. Nothing is imported before it is called.

A group has no module, so its help is shown from here alone. ``tests/cli/test_command_table.py`` loads every entry and
compares the lines with those of the commands themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["COMMANDS", "Entry"]


# Texts beside names, and not the commands' own help: reading that would import them, and with them the packages that a
# line of help has to wait for.
class Entry(NamedTuple):
    """A command or a group.

    Attributes:
        help: the first sentence of its help; of a group, all of it.
        target: ``module:attribute`` below ``cyclr_async.cli.commands``; empty for a group.
        example: for the help of a group; a command has its own.
    """

    help: str
    target: str = ""
    example: str = ""


# Help lists them in this order: the main job first, then what is set up once.
COMMANDS: Final[Mapping[str, Entry]] = {
    "usage": Entry("The usage of accounts, for billing.", example="cyclr usage collect --simulate"),
    "usage collect": Entry("Collect the usage of every account.", "usage_collect:collect"),
    "usage resume": Entry(
        "Go on with the unfinished run of a store; only what is missing is asked for.", "usage_resume:resume"
    ),
    "usage status": Entry("Show the runs of a store and how far each is.", "usage_status:status"),
    "usage export": Entry(
        "Write what a store holds as CSV, JSON Lines, JSON, Markdown, Excel or Parquet.", "usage_export:export"
    ),
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
    "usage check": Entry(
        "Look for accounts that rose, that have no figure, or that passed what is included.", "usage_check:check"
    ),
    "usage query": Entry(
        "Ask a store in SQL, over the views figures, observations, accounts, runs, findings and closings.",
        "usage_query:query",
    ),
    "usage prune": Entry(
        "Make a store smaller: remove observations that later ones of the same period have superseded.",
        "usage_prune:prune",
    ),
    "usage merge": Entry("Put everything that other stores of the partner hold into one.", "usage_merge:merge"),
    "usage demo": Entry(
        "Fill a new store with months of invented usage, to try every other command with.", "usage_demo:demo"
    ),
    "usage repair": Entry(
        "Save what is sound of a damaged store; the old file is kept beside it.", "usage_repair:repair"
    ),
    "usage rekey": Entry(
        "Give a store the name of its partner anew, when that has changed: nothing else in it changes.",
        "usage_rekey:rekey",
    ),
    "prices": Entry("Price books, by which usage is billed.", example="cyclr prices check prices.toml"),
    "prices check": Entry(
        "Check a price book; what is wrong is said with line and key, and all of it at once.", "prices:check"
    ),
    "accounts": Entry("The accounts of the partner.", example="cyclr accounts list --simulate"),
    "accounts list": Entry("List every account, as the answer arrives.", "accounts:list_accounts"),
    "accounts create": Entry("Create an account and print its id.", "accounts:create"),
    "accounts update": Entry("Change an account; what is not named stays as it is.", "accounts:update"),
    "partner": Entry("Show the settings of the partner; its Intercom keys stay hidden.", "partner:partner"),
    "plans": Entry("List the price plans.", "plans:plans"),
    "connectors": Entry(
        "Connectors installed in accounts.",
        example="cyclr connectors install ACCOUNT_ID Mailchimp v1 --installed-name News --api-key-file key.txt",
    ),
    "connectors install": Entry(
        "Install a connector in an account; not possible for connectors that sign in with OAuth.", "connectors:install"
    ),
    "token": Entry(
        "Sign-in tokens for users of the partner's application.", example="cyclr token create ACCOUNT_ID jo@example.com"
    ),
    "token create": Entry("Create a link that signs a user in to an account.", "tokens:create"),
    "v1": Entry(
        "The v1.0 API: accounts, users, launch links, connectors, templates and cycles.",
        example="cyclr v1 accounts list --simulate",
    ),
    "v1 accounts": Entry("Accounts, with ids of your own.", example="cyclr v1 accounts get tenant-42"),
    "v1 accounts list": Entry("List every account, page after page.", "v1_accounts:list_accounts"),
    "v1 accounts get": Entry("Show an account.", "v1_accounts:get"),
    "v1 accounts create": Entry("Create an account, once if you choose its id.", "v1_accounts:create"),
    "v1 accounts ensure": Entry("Show the account with this id, created now if there is none.", "v1_accounts:ensure"),
    "v1 accounts update": Entry("Change an account; what is not named stays as it is.", "v1_accounts:update"),
    "v1 accounts delete": Entry("Delete an account with everything in it.", "v1_accounts:delete"),
    "v1 accounts subaccounts": Entry("List the sub-accounts of an account.", "v1_accounts:subaccounts"),
    "v1 accounts usage": Entry(
        "Show how many tasks an account has used in its current period, its sub-accounts left out.", "v1_accounts:usage"
    ),
    "v1 users": Entry("Users of accounts.", example="cyclr v1 users list tenant-42"),
    "v1 users list": Entry("List the users of an account.", "v1_users:list_users"),
    "v1 users add": Entry(
        "Give a user access to an account; one that does not exist is created, and needs a password.", "v1_users:add"
    ),
    "v1 users password": Entry("Give a user a new password.", "v1_users:password"),
    "v1 users remove": Entry("Take a user's access to an account away.", "v1_users:remove"),
    "v1 sign-in": Entry("Create a link that signs a user in, who is created if need be.", "v1_sign_in:sign_in"),
    "v1 launch": Entry(
        "Links that open LAUNCH, ORBIT or a Marketplace for a user.", example="cyclr v1 launch account tenant-42"
    ),
    "v1 launch account": Entry(
        "Create a link to LAUNCH for an account, which is created if need be.", "v1_launch:account"
    ),
    "v1 launch user": Entry("Create a link to LAUNCH for a user.", "v1_launch:user"),
    "v1 launch orbit": Entry("Create a link to ORBIT for an account, or a user of it.", "v1_launch:orbit"),
    "v1 launch marketplace": Entry(
        "Create a link to a Marketplace, for an account or a user of it.", "v1_launch:marketplace"
    ),
    "v1 connectors": Entry("The catalogue of connectors.", example="cyclr v1 connectors list --query mail"),
    "v1 connectors list": Entry(
        "List the connectors of the catalogue, page after page.", "v1_connectors:list_connectors"
    ),
    "v1 connectors get": Entry(
        "Show a connector by its id, or all of a name: what it signs in with, and what it needs.", "v1_connectors:get"
    ),
    "v1 connectors methods": Entry("List the methods of a connector.", "v1_connectors:methods"),
    "v1 account-connectors": Entry(
        "The connectors that an account has installed.", example="cyclr v1 account-connectors list --account tenant-42"
    ),
    "v1 account-connectors list": Entry(
        "List the connectors of an account; values of their properties stay hidden.",
        "v1_account_connectors:list_connectors",
    ),
    "v1 account-connectors get": Entry("Show a connector of an account.", "v1_account_connectors:get"),
    "v1 account-connectors install": Entry(
        "Install a connector of the catalogue in an account, once; a name that is in use is an error.",
        "v1_account_connectors:install",
    ),
    "v1 account-connectors ensure": Entry(
        "Show the account's connector of that name, installed now if there is none.", "v1_account_connectors:ensure"
    ),
    "v1 account-connectors update": Entry(
        "Change the name or the description of a connector; authenticate changes what it signs in with.",
        "v1_account_connectors:update",
    ),
    "v1 account-connectors authenticate": Entry(
        "Sign a connector in with an API key, a password, or the tokens of OAuth.", "v1_account_connectors:authenticate"
    ),
    "v1 account-connectors deauthenticate": Entry("Sign a connector out.", "v1_account_connectors:deauthenticate"),
    "v1 account-connectors delete": Entry("Remove a connector from an account.", "v1_account_connectors:delete"),
    "v1 templates": Entry("Templates, from which cycles are made.", example="cyclr v1 templates list --tag crm"),
    "v1 templates list": Entry("List the published templates.", "v1_templates:list_templates"),
    "v1 templates get": Entry("Show a template.", "v1_templates:get"),
    "v1 templates install": Entry(
        "Make a cycle from a template, paused; connectors that the account has are used, missing ones installed.",
        "v1_templates:install",
    ),
    "v1 cycles": Entry("The cycles of an account.", example="cyclr v1 cycles list --account tenant-42"),
    "v1 cycles list": Entry("List the cycles of an account.", "v1_cycles:list_cycles"),
    "v1 cycles get": Entry("Show a cycle.", "v1_cycles:get"),
    "v1 cycles prerequisites": Entry("List what must be done before a cycle can run.", "v1_cycles:prerequisites"),
    "v1 cycles activate": Entry("Start a cycle.", "v1_cycles:activate"),
    "v1 cycles deactivate": Entry("Stop a cycle; one that does not run stays as it is.", "v1_cycles:deactivate"),
    "v1 cycles delete": Entry("Delete a cycle.", "v1_cycles:delete"),
    "api": Entry("Send a request to any operation of either API, and write the JSON of its answer.", "api:api"),
    "simulate": Entry(
        "Serve both APIs with invented accounts, or those of a file, for programs in any language.",
        "simulate:simulate",
    ),
    "config": Entry(
        "Settings: flag before CYCLR_* variable before profile before default.", example="cyclr config check"
    ),
    "config show": Entry("Show every setting and where it comes from; secrets are masked.", "config_show:show"),
    "config check": Entry("Say which of the two APIs answers with these credentials.", "config_check:check"),
    "completion": Entry("Print the completion script of a shell.", "completion:completion"),
}
