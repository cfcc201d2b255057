"""Posting a summary to an address of the user's own, such as a chat's webhook or an alert manager."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from cyclr_async.errors import ConfigurationError, CyclrError
from cyclr_async.hosts import is_loopback

__all__ = ["NotifyError", "checked_url", "post_json"]

_SECONDS: Final = 10.0
"""For one attempt: a job of cron must come to its end, whatever the other side does."""
_PAUSES: Final = (1.0, 4.0, 15.0)
"""Between attempts; long enough for a service to be restarted."""
_LONGEST_PAUSE: Final = 60.0


class NotifyError(CyclrError):
    """A summary could not be delivered."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    # A redirect would carry the summary to a place that nobody has named, perhaps without encryption.
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect: it ends as the error that its status is."""


def checked_url(url: str) -> str:
    """Return a URL that a summary may be posted to: https, or http on this machine.

    Raises:
        ConfigurationError: it is none; the message does not repeat it, because a webhook's address is a secret.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if host is None or port == 0 or parts.scheme not in {"https", "http"}:
        raise ConfigurationError("--notify needs a URL such as https://hooks.example.com/…")
    if not re.fullmatch(r"[!-~]+", url):
        # The client would refuse them when it is too late, in an error that shows the URL.
        raise ConfigurationError(f"--notify to {host!a} has blanks or letters that a URL encodes, as %20")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(f"--notify to {host} needs https: over http anybody between could read the summary")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("--notify takes no user name or password in the URL: they would be sent unasked")
    return url


def post_json(url: str, body: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Post a JSON document; repeated after failures of the network, 429 and 5xx.

    A summary that arrives twice does no harm, so it is repeated also when nobody knows whether it arrived.

    Args:
        url: checked by :func:`checked_url`.
        body: what is sent.
        sleep: waits between attempts.

    Raises:
        NotifyError: it was not taken; the message names the host and nothing else of the URL.
    """
    data = json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()
    request = urllib.request.Request(  # noqa: S310 - https, or this machine: checked_url() has seen to that
        checked_url(url),
        data,
        {"Content-Type": "application/json", "User-Agent": "cyclr"},
        method="POST",
    )
    parts = urlsplit(url)
    handlers = [_NoRedirects(), urllib.request.HTTPSHandler(context=ssl.create_default_context())]
    if parts.scheme == "http":
        # What may only go to this machine must not go to a proxy of the network, whatever the environment names.
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    host = parts.hostname
    failure = ""
    for pause in (*_PAUSES, None):
        wait = pause
        try:
            with opener.open(request, timeout=_SECONDS):
                return
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                failure = f"HTTP {error.code}"
                asked = error.headers.get("Retry-After", "")
            if error.code != 429 and error.code < 500:
                break
            if wait is not None and asked.isdecimal():
                wait = max(wait, min(float(asked), _LONGEST_PAUSE))
        except OSError as error:  # URLError, time-outs, resets
            reason = getattr(error, "reason", error)
            failure = str(getattr(reason, "strerror", None) or type(reason).__name__)
        except http.client.HTTPException as error:  # an answer that is no HTTP; its text could be anything
            failure = type(error).__name__
        if wait is None:
            break
        sleep(wait)
    raise NotifyError(f"the summary could not be delivered to {host}: {failure}")
