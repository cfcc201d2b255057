"""The one list of settings that need no Python: what each is called as variable, in a profile, and as a flag."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["APIS", "SETTINGS", "Setting"]

APIS: Final = ("partner", "v1")
"""What the setting ``api`` may say: the partner API of the document, or the v1.0 API."""


class Setting(NamedTuple):
    """A setting and its names.

    Attributes:
        name: in a profile, and as an argument of a session where it is one.
        flag: of the ``cyclr`` command, or None; where a secret has several, the stem they share.
        default: what is in force when it is not set, as a text; None when there is nothing.
        secret: whether its value is never shown.
    """

    name: str
    flag: str | None = None
    default: str | None = None
    secret: bool = False

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"CYCLR_{self.name.upper()}"


# In the order in which `cyclr config show` lists them.
SETTINGS: Final = {
    setting.name: setting
    for setting in (
        Setting("access_token", secret=True),
        Setting("client_id", "--client-id"),
        Setting("client_secret", "--client-secret-…", secret=True),
        Setting("username"),
        Setting("password", secret=True),
        Setting("account_id"),
        Setting("partner", "--partner"),
        Setting("region", "--region", default="US"),
        Setting("base_url", "--base-url"),
        Setting("token_url", "--token-url"),
        Setting("v1_url", "--v1-url"),
        Setting("api", "--api", default="partner"),  # of commands that know both; a session always has both
        Setting("http_hosts", "--http-host"),
        Setting("timeout", "--timeout", default="120"),
        Setting("connections", default="100"),
        Setting("requests_per_second"),
        Setting("shared", "--shared", secret=True),  # a URL of Redis may carry a password
        Setting("proxy", secret=True),  # its URL may carry a password
        Setting("ca_file"),
    )
}
