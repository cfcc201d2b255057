"""A cancelled write cannot say what became of it, so a line in the log does."""

from __future__ import annotations

import asyncio
import logging

import pytest

from cyclr_async import RetryPolicy, Timeouts
from tests.faults.matrix import OPERATIONS, after, partner
from tests.support.answers import http, json_http
from tests.support.server import FaultServer, Script, close, stall, write
from tests.support.virtual import in_virtual_time

TIMES = Timeouts(connect=5, read=5, attempt=5, deadline=5, close=0.0)
# Long waits between attempts, so that the cancellation comes within one.
PATIENT = RetryPolicy(attempts=3, base=900.0, throttled_base=900.0, cap=900.0, write_window=3600.0)
NAMES = {"GET": "accounts.usage", "PUT": "accounts.update", "POST": "accounts.create", "TOKEN": "tokens.create"}


async def cancelled(operation: str, fault: Script, log: pytest.LogCaptureFixture) -> list[str]:
    """Cancel the operation after the server has had its request, and return the warnings."""
    log.set_level(logging.WARNING, logger="cyclr_async")
    async with FaultServer(fault) as server:
        session = partner(
            server.base_url, timeouts=Timeouts(connect=5, read=5, attempt=5, deadline=3600, close=0.0), retry=PATIENT
        )
        async with session:
            task = asyncio.create_task(_run(operation, session))
            async with asyncio.timeout(5):
                while server.request_count < 1:  # noqa: ASYNC110 - the server has no event to wait for
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.03)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert server.request_count == 1
    return [record.getMessage() for record in log.records if record.levelno == logging.WARNING]


async def _run(operation: str, session: object) -> None:
    await OPERATIONS[operation](session)  # type: ignore[arg-type]


@pytest.mark.parametrize("operation", ["PUT", "POST", "TOKEN"])
@pytest.mark.parametrize(
    "fault",
    [after(stall()), after(write(http(200, b"{", {"Content-Length": "90"})), stall())],
    ids=["sent", "answered"],
)
@in_virtual_time
async def test_a_write_under_way(operation: str, fault: Script, caplog: pytest.LogCaptureFixture) -> None:
    (line,) = await cancelled(operation, fault, caplog)
    assert line.startswith(f"{NAMES[operation]} was cancelled after it was sent: its outcome is unknown (request ")


@pytest.mark.parametrize("answer", [b"", json_http({}, 503)], ids=["cut", "503"])
@in_virtual_time
async def test_an_update_that_waits_to_be_repeated(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (line,) = await cancelled("PUT", after(write(answer), close()), caplog)
    assert "accounts.update was cancelled after it was sent" in line


@pytest.mark.parametrize("operation", ["PUT", "POST", "TOKEN"])
@in_virtual_time
async def test_what_was_certainly_not_carried_out_is_not_warned_of(
    operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await cancelled(operation, after(write(json_http({}, 429)), close()), caplog) == []


@in_virtual_time
async def test_a_read_needs_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert await cancelled("GET", after(stall()), caplog) == []


@in_virtual_time
async def test_a_write_that_was_never_sent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="cyclr_async")
    async with FaultServer(after(stall())) as server, partner(server.base_url, timeouts=TIMES) as session:
        task = asyncio.create_task(_run("PUT", session))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.request_count == 0
    assert [record for record in caplog.records if record.name.startswith("cyclr_async")] == []


@pytest.mark.parametrize(
    "said", ["a\nERROR forged", "a\r\nb", "tab\there", "\x1b[2J\x07", "\u2028", "\u202e", "\x85", "\x00"], ids=ascii
)
@in_virtual_time
async def test_a_server_cannot_forge_a_line(said: str, caplog: pytest.LogCaptureFixture) -> None:
    """What it says stands in messages and in logs, with its control characters shown."""
    fault = after(write(json_http({"Message": said}, 400, {"Server": "x"})), close())
    async with FaultServer(fault) as server, partner(server.base_url) as session:
        for name, operation in OPERATIONS.items():
            with pytest.raises(Exception, match="the server answered 400") as caught:
                await operation(session)
            error = caught.value
            logging.getLogger("test").warning("%s failed: %s", name, error)
            for text in (str(error), error.server_message, error.body, caplog.records[-1].getMessage()):  # type: ignore[attr-defined]
                assert text.isprintable(), ascii(text)
