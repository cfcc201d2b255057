"""A process that is forked off shares the sockets of its parent, and must not close or use them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.answers import good
from tests.support.server import FaultServer, Link
from tests.support.tls import TlsWorld

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")

_PARENT = """
import asyncio, gc, os, sys
from cyclr_async import AsyncPartnerSession, RetryPolicy, WrongEventLoopError

base_url, authority, how = sys.argv[1:]
account = "7".rjust(32, "0")
session = AsyncPartnerSession("token", base_url=base_url, ca_file=authority, retry=RetryPolicy(attempts=1))

def child():
    global session
    if how == "close":
        asyncio.run(session.close())
    elif how == "close at once":
        try: session.close().send(None)
        except StopIteration: pass
    elif how == "use":
        try: asyncio.run(session.accounts.usage(account))
        except WrongEventLoopError: pass
        else: raise SystemExit("used the parent's connection")
    session = None
    gc.collect()

def fork():
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        try: child()
        except BaseException as error:
            print("child", repr(error), flush=True)
            os._exit(1)
        # With all that an interpreter does at its end, unless asyncio.run() has made asyncio forget the parent's loop:
        # that would close itself then, and with it what the parent waits on, whoever uses it.
        # And from Python 3.12 on an interpreter may hang at the end of a child that was forked off with threads about.
        if inside or how in {"close", "use"} or sys.version_info >= (3, 12): os._exit(0)
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

async def call():
    for _ in range(3):
        await session.accounts.usage(account, timeout=3)

async def forked_inside():
    await call()
    code = fork()
    await call()
    return code

runner = asyncio.Runner()  # without a block, which the child would leave too
inside = True
print(runner.run(forked_inside()))
inside = False
print(fork())
runner.run(call())
print(session.stats().connections_created)
runner.run(session.close())
runner.close()
"""


@pytest.mark.parametrize("how", ["close", "close at once", "use", "nothing"])
async def test_the_parent_goes_on(how: str, tmp_path: Path) -> None:
    world = TlsWorld.build(tmp_path)

    async def serve(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            await link.write(good(request))

    async with FaultServer(serve, ssl=world.good) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PARENT,
            server.base_url,
            str(world.authority_file),
            how,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), 30)
        except TimeoutError:
            process.kill()
            raise
        assert out.split() == [b"0", b"0", b"1"], (out, err.decode()[-2000:])
        # asyncio warns of sockets of its own that were not closed; who has closed the session hears no more than that.
        assert b"Unclosed connector" not in err
        assert not how.startswith("close") or b"Unclosed client session" not in err
        assert (server.connections, server.request_count) == (1, 9)
