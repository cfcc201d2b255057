"""A partner API to run the command against, and ways to run it."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import click
from aiohttp import web

from cyclr_async.cli.app import app
from cyclr_async.usage.months.periods import add_months

SECRET = "canary-client-secret-55e0"


class Api:
    """A partner API of its own thread, with hostile names and faults on demand."""

    def __init__(self) -> None:
        self.names = [f"Account {number}" for number in range(12)]
        self.missing: set[int] = set()
        self.failing: set[int] = set()
        self.delay = 0.0
        self.overloaded = 0
        self.token_status = 200
        self.tasks = 1000
        self.period = "2026-11-01T00:00:00"
        self.requests: list[str] = []
        self.bodies: list[Any] = []
        self.secrets: list[Any] = []
        self.queries: list[str] = []
        self.accounts: list[str | None] = []
        self.special: dict[str, Callable[[web.BaseRequest], web.StreamResponse | None]] = {}
        """Answers by path that take the place of the usual one; None breaks the connection."""
        self.port = 0

    def start(self) -> None:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(ready),))
        self._thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        ready.set()
        await self._stop.wait()
        await runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        path = request.path.removeprefix("/api/partner/")
        if request.path == "/oauth/token":
            self.secrets.append((await request.post()).get("client_secret"))
            if self.token_status != 200:
                return web.json_response({"error": "invalid_client"}, status=self.token_status)
            return web.json_response({"access_token": "canary-bearer", "token_type": "bearer", "expires_in": 1209599})
        self.queries.append(request.query_string)
        self.accounts.append(request.headers.get("X-Cyclr-Account"))
        if request.path in self.special:
            if request.can_read_body:
                self.bodies.append(await request.json())
            found = self.special[request.path](request)
            if found is None:
                assert request.transport is not None
                request.transport.abort()
                raise ConnectionResetError
            return found
        if self.overloaded:
            self.overloaded -= 1
            return web.json_response({"Message": "busy"}, status=429, headers={"Retry-After": "0"})
        if path.endswith("/billing"):
            return await self._billing(int(path.split("/")[1], 16))
        self.bodies.append(await request.json() if request.can_read_body else None)
        plans = [{"Id": "1", "Name": "Free\x1b[2J"}, {"Id": "2", "Name": "Pro"}]
        answers: dict[str, Any] = {
            "accounts": [self._account(number, name) for number, name in enumerate(self.names)],
            "priceplans": plans,
            "createaccount": {"Id": f"{77:032x}"},
            "createaccountsignintoken": {"ExpiresAtUtc": "2026-11-24T10:50:45.6509216Z", "Token": "a+/b=="},
            "details": DETAILS,
        }
        if path == "installconnector":
            return web.Response()
        return web.json_response(answers.get(path, {"Id": path.removeprefix("accounts/")}))

    @staticmethod
    def _account(number: int, name: str) -> dict[str, Any]:
        return {
            "Id": f"{number:032x}",
            "Name": name,
            "Description": "",
            "PricePlanId": number % 2 + 1,
            "LastBillDate": "2026-11-01T00:00:00",
            "NextBillDate": "2026-12-01T00:00:00",
            "AuditInfo": f"=HYPERLINK({number})",
        }

    async def _billing(self, number: int) -> web.StreamResponse:
        await asyncio.sleep(self.delay)
        if number in self.missing:
            return web.json_response({"Message": "gone\x1b]0;owned\x07"}, status=404)
        if number in self.failing:
            return web.json_response({"Message": "bad day"}, status=400)
        return web.json_response(
            {
                "TaskCount": self.tasks // (number + 1),
                "CycleCount": 3,
                "FromDate": self.period,
                "ToDate": (add_months(datetime.fromisoformat(self.period), 1) - timedelta(days=1)).isoformat(),
                "CurrentPricePlanId": number % 2 + 1,
                "AuditInfo": f"=HYPERLINK({number})",
            }
        )

    @property
    def env(self) -> dict[str, str]:
        return {
            "CYCLR_BASE_URL": f"http://127.0.0.1:{self.port}/api/partner",
            "CYCLR_V1_URL": f"http://127.0.0.1:{self.port}/v1.0",
            "CYCLR_TOKEN_URL": f"http://127.0.0.1:{self.port}/oauth/token",
            "CYCLR_CLIENT_ID": "my-client",
            "CYCLR_CLIENT_SECRET": SECRET,
        }


DETAILS = {
    "AnonymousAccountsEnabled": False,
    "ApplicationDisplayName": "Demo",
    "ApplicationIcon": None,
    "AppStyle": None,
    "ComingSoonConnectorsEnabled": False,
    "CustomConnectorsEnabled": True,
    "CycleNoun": "Cycle",
    "CycleSharingEnabled": False,
    "Domain": "partner.example.com",
    "IntercomAPIKey": "canary-intercom",
    "IntercomAppId": None,
    "IntercomSecretKey": None,
    "HeaderHtml": None,
    "FooterHtml": None,
}


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


Run = Callable[..., Result]


def spawn(*args: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "cyclr_async.cli", *args], env={**os.environ, **(env or {})}, **options
    )


def call(*args: str, env: dict[str, str] | None = None, stdin: str = "") -> Result:
    """Run the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "cyclr_async.cli", *args],
        env={**os.environ, **(env or {})},
        input=stdin.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def on_a_terminal(*args: str, env: dict[str, str] | None = None, stop_at: bytes | None = None) -> tuple[int, str]:
    """Run the command with both outputs on a pseudo-terminal; return its code and what arrived there.

    It gets a SIGINT when ``stop_at`` has been seen.
    """
    ours, theirs = pty.openpty()
    command = spawn(*args, env={"TERM": "xterm-256color", **(env or {})}, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
        if stop_at is not None and stop_at in seen:
            stop_at = None
            command.send_signal(signal.SIGINT)
    os.close(ours)
    return command.wait(30), seen.decode("utf-8", "replace")


def commands(group: click.Group = app, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group, loaded, with the words that call it."""
    yield path, group
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def leaves() -> Iterator[tuple[str, ...]]:
    """The words of every command that does something."""
    return (path for path, command in commands() if not isinstance(command, click.Group))
