"""LAUNCH, ORBIT, Marketplace, and tokens to sign in with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from cyclr_async.simulator.domain.lenient_fields import RefusedError
from cyclr_async.simulator.v1.accounts import account_of, create_account
from cyclr_async.simulator.v1.call import Body, Call, Handler, invalid
from cyclr_async.simulator.v1.dates import moment_text
from cyclr_async.simulator.v1.install import authenticate_connectors, wanted_connectors
from cyclr_async.wire.unset import UNSET

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.partner_state import AccountRecord

__all__ = ["HANDLERS"]

_OPTIONS: Final = (
    # The name in the body, the name in the URL, and the value that is usual and therefore not in the URL; None: always.
    ("Start", "start", True),
    ("RunOnce", "once", False),
    ("AutoInstall", "auto", None),
    ("SingleInstall", "single", None),
    ("Wizard", "wizard", False),
    ("DisplayDescriptions", "descriptions", False),
)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _inline(call: Call, body: Body) -> str:
    given = body.flag("InlineOAuth")
    inline = call.world.library.inline_oauth if given is UNSET else given
    return "" if inline else "&inline=false"


def _options(call: Call, body: Body) -> str:
    """Return the options of LAUNCH as they stand in the URL."""
    found = _inline(call, body)
    for name, short, usual in _OPTIONS:
        value = body.flag(name)
        if value is not UNSET and value is not usual:
            found += f"&{short}={_flag(value)}"
    tags = body.texts("Tags") or ()
    if tags:
        found += f"&tags={','.join(quote(tag, safe='') for tag in tags)}"
    return found + _complete(body)


def _complete(body: Body) -> str:
    complete = body.text("CompleteParameter")
    return f"&complete={quote(complete, safe='')}" if complete else ""


def _signed_in(call: Call, record: AccountRecord, username: str, place: str, kind: str, options: str = "") -> object:
    """Return a sign-in link to a place of the console."""
    token, expires = call.world.sign_ins.issue(record.id, username, url_safe=True)
    domain = call.world.state.details["Domain"]
    url = f"https://{domain}/account/signinwithtoken?token={token}&returnUrl={quote(place, safe='')}{options}"
    return {"AccountId": record.api_id, "ExpiresAtUtc": moment_text(expires), kind: url, "Token": token}


def _found_or_made(call: Call, api_id: str, body: Body, username: str) -> AccountRecord:
    """Return the account with that id for changing; one that does not exist is created."""
    state = call.world.state
    known = state.find_api(api_id) if api_id else None
    if known is None:
        name = body.word("AccountName") or api_id or username
        record = create_account(call.world, name, api_id or None)
        record.description = body.text("AccountDescription") or None
        return record
    touched = state.touch(known.id)
    assert touched is not None  # it was found a moment ago
    return touched


def _as_user(call: Call) -> str:
    """Return the name of the user who signs in with a password; one that does not exist is created.

    Raises:
        RefusedError: 401 when the password is not his.
    """
    username = call.body.required("Username").strip()
    password = call.body.text("Password") or ""
    if not call.world.people.accepts(username, password):
        raise RefusedError(401, "The user name or password is incorrect.", {"WWW-Authenticate": "Bearer"})
    return username


def _launch(call: Call, api_id: str, username: str) -> object:
    body = call.body
    wanted = wanted_connectors(call.world, body)
    record = _found_or_made(call, api_id, body, username)
    authenticate_connectors(call.world, record, wanted)
    if username:
        call.world.join(record, username)
    return _signed_in(call, record, username or record.api_id, "/launch", "LaunchUrl", _options(call, body))


def _marketplace(call: Call, api_id: str, username: str) -> object:
    body = call.body
    number = body.number("MarketplaceId")
    if not isinstance(number, int):
        raise invalid()
    known = call.world.state.find_api(api_id) if api_id else None
    if known is not None and known.marketplaces and number not in known.marketplaces:
        raise RefusedError(404)
    wanted = wanted_connectors(call.world, body)
    record = _found_or_made(call, api_id, body, username)
    authenticate_connectors(call.world, record, wanted)
    if username:
        call.world.join(record, username)
    options = _inline(call, body) + _complete(body)
    return _signed_in(call, record, username or record.api_id, f"/marketplace/{number}", "MarketplaceUrl", options)


def _account_launch(call: Call) -> object:
    return _launch(call, call.keys["account"], "")


def _user_launch(call: Call) -> object:
    return _launch(call, call.body.word("AccountId"), _as_user(call))


def _account_marketplace(call: Call) -> object:
    return _marketplace(call, call.keys["account"], "")


def _user_marketplace(call: Call) -> object:
    return _marketplace(call, call.body.word("AccountId"), _as_user(call))


def _account_orbit(call: Call) -> object:
    record = account_of(call)
    return _signed_in(call, record, record.api_id, "/orbit", "OrbitUrl")


def _user_orbit(call: Call) -> object:
    record = call.world.state.find_api(call.body.required("AccountId").strip())
    if record is None:
        raise RefusedError(404)
    username = _as_user(call)
    touched = call.world.state.touch(record.id)
    assert touched is not None  # it was found a moment ago
    call.world.join(touched, username)
    return _signed_in(call, touched, username, "/orbit", "OrbitUrl")


def _sign_in_token(call: Call) -> object:
    record = account_of(call)
    username = call.body.required("Username").strip()
    touched = call.world.state.touch(record.id)
    assert touched is not None  # it was found a moment ago
    call.world.join(touched, username)
    token, expires = call.world.sign_ins.issue(record.id, username, url_safe=True)
    found: dict[str, Any] = {"Token": token, "ExpiresAtUtc": moment_text(expires)}
    return found


HANDLERS: Final[dict[str, Handler]] = {
    "v1.tokens.create": _sign_in_token,
    "v1.launch.account": _account_launch,
    "v1.launch.user": _user_launch,
    "v1.orbit.account": _account_orbit,
    "v1.orbit.user": _user_orbit,
    "v1.marketplace.account": _account_marketplace,
    "v1.marketplace.user": _user_marketplace,
}
