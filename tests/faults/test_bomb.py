"""300 KB that unpack to 300 MiB are refused, and cost little memory: measured from outside, in a process of its own."""

from __future__ import annotations

import asyncio
import gzip
import sys
from pathlib import Path

import pytest

from cyclr_async import AsyncPartnerSession, ResponseTooLargeError, RetryPolicy
from tests.faults.matrix import after
from tests.support.answers import ACCOUNT, http
from tests.support.canary import BEARER, assert_no_canary
from tests.support.server import FaultServer, close, write

_CLIENT = """
import asyncio, sys
from pathlib import Path
from cyclr_async import AsyncPartnerSession, ResponseTooLargeError, RetryPolicy

async def ask(base, path):
    async with AsyncPartnerSession("token", base_url=base + "/api/partner", retry=RetryPolicy(attempts=1)) as session:
        try:
            await session.request("GET", path)
        except ResponseTooLargeError:
            return True
    return False

def peak():
    # Not ru_maxrss: that begins with what the parent process held when it forked.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

async def main(base):
    await ask(base, "small")  # what the first call loads is not the bomb's
    before = peak()
    refused = await ask(base, "bomb")
    print(refused, peak() - before)

asyncio.run(main(sys.argv[1]))
"""


def _bomb() -> bytes:
    body = gzip.compress(bytes(300 * 1024 * 1024), 9)
    assert len(body) < 320_000
    return http(200, body, {"Content-Encoding": "gzip"})


async def test_a_gzip_bomb_is_refused() -> None:
    async with (
        FaultServer(after(write(_bomb()), close())) as server,
        AsyncPartnerSession(BEARER, base_url=server.base_url, retry=RetryPolicy(attempts=1)) as session,
    ):
        with pytest.raises(ResponseTooLargeError) as caught:
            await session.accounts.usage(ACCOUNT)
        assert server.request_count == 1
    assert (caught.value.sent, caught.value.status, caught.value.attempts) == ("yes", 200, 1)
    assert_no_canary(caught.value)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the peak is read in KiB, as Linux reports it")
async def test_a_gzip_bomb_costs_32_mib_at_most() -> None:
    async with FaultServer(after(write(http(200, b"{}")), close()), after(write(_bomb()), close())) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CLIENT, server.origin, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    refused, grown = output.split()
    print(f"peak resident set grew by {int(grown) / 1024:.1f} MiB")
    assert refused == b"True"
    assert int(grown) <= 32 * 1024
