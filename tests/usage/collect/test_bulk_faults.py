"""Every fault of an answer, from the middle of a bulk run on: the counts add up, and the next run heals."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from cyclr_async import BulkInterruptedError, ClientCredentials
from tests.support.clock import VirtualClock
from tests.support.usage_server import (
    DROP,
    PartnerServer,
    ThenClosed,
    account_ids,
    all_of,
    consistent,
    http,
    raw,
    usage_of,
)

FAULTS: Final = {
    "302": raw(302, "", "", "Location: https://login.example.com/"),
    "400": http(400, {"Message": "no"}),
    "400 half a body": ThenClosed(b"HTTP/1.1 400 S\r\nContent-Length: 99\r\n\r\n{"),
    "401": http(401, {"Message": "Authorization has been denied for this request."}),
    "401 half a body": ThenClosed(b"HTTP/1.1 401 S\r\nContent-Length: 99\r\n\r\n{"),
    "403": http(403, {"Message": "no"}),
    "403 page": raw(403, "<html>blocked</html>"),
    "404": http(404, {"Message": "no such account"}),
    "404 empty": raw(404, "", ""),
    "404 page": raw(404, "<html>"),
    "404 no route": http(404, {"Message": "No HTTP resource was found that matches the request URI."}),
    "404 broken gzip": http(404, {"Message": "no"}, "Content-Encoding: gzip"),
    "410": http(410, {"Message": "gone"}),
    "429 broken gzip": http(429, {}, "Retry-After: 7", "Content-Encoding: gzip"),
    "500": http(500, {"Message": "An error has occurred."}),
    "503 waits": http(503, {}, "Retry-After: 120"),
    "503 broken gzip": http(503, {}, "Retry-After: 7", "Content-Encoding: gzip"),
    "525": raw(525, "<html>"),
    "200 page": http(200),
    "200 error": http(200, {"Message": "An error has occurred."}),
    "200 empty": raw(200, ""),
    "200 half": ThenClosed(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"),
    "200 broken gzip": http(200, {"TaskCount": 1}, "Content-Encoding: gzip"),
    "200 wrong type": http(200, {"TaskCount": "1"}),
    "closed": DROP,
    "not http": b"SSH-2.0-OpenSSH\r\n\r\n",
}
COUNT: Final = 90
ANSWERED: Final = 40
"""Requests for a usage that are answered before the fault begins."""


# At the token endpoint only a few by default: test_token_trouble.py sends the same answers there.
@pytest.mark.parametrize(
    ("fault", "where"),
    [
        pytest.param(fault, where, marks=pytest.mark.stress if where == "token" and number % 5 else ())
        for number, fault in enumerate(name for name in FAULTS if not name.startswith("429"))
        for where in ("usage", "usage of some", "token")
    ],
)
async def test_nothing_is_dropped_and_the_next_run_heals(fault: str, where: str, path: Path) -> None:
    ids = account_ids(COUNT)
    some = set(ids[::30])
    answer = FAULTS[fault]
    async with VirtualClock() as clock, PartnerServer(ids) as server:
        broken = True

        def reply(account: str, _nth: int) -> bytes | None:
            if not broken:
                return None
            if where == "token":
                # The token in hand is refused from here on, so that another has to be asked for.
                return FAULTS["401"] if server.requests > ANSWERED else None
            return answer if server.requests > ANSWERED and (where == "usage" or account in some) else None

        def token() -> bytes:
            good = not broken or where != "token" or server.requests <= ANSWERED
            return http(200, {"access_token": "t", "expires_in": 3600}) if good else answer

        server.reply, server.token = reply, token
        options = {"clock": clock, "partner": "partner"}
        async with server.session(ClientCredentials("id", "secret"), **options) as session:
            clock.busy = lambda: session.stats().active > 0 and server.active > 0
            run = session.accounts.collect_usage(store=path, max_outage=30, passes=1)
            ended: BulkInterruptedError | None = None
            try:
                outcomes = await all_of(run)
                assert len(outcomes) == run.progress.asked == COUNT
            except BulkInterruptedError as error:
                ended = error
            assert ended is None or ended.resumable
            assert consistent(run.progress)
            # No account is to blame for the token endpoint.
            if where == "token":
                assert (run.progress.missing, run.progress.forbidden, run.progress.failed) == (0, 0, 0)
        broken = False
        async with server.session(ClientCredentials("id", "secret"), **options) as session:
            clock.busy = lambda: session.stats().active > 0 and server.active > 0
            again = session.accounts.collect_usage(store=path)
            await all_of(again)
        assert (again.progress.ok, again.progress.asked) == (COUNT, COUNT)
    with closing(sqlite3.connect(path)) as store:
        kept = dict(store.execute("SELECT account_id, task_count FROM observation").fetchall())
    assert kept == {one: usage_of(one) for one in ids}
