"""The loop of virtual time: waits cost nothing, work takes no time, and what threads and sockets do is waited for."""

from __future__ import annotations

import asyncio
import time

from tests.support.answers import good
from tests.support.server import FaultServer, answer, delay, script
from tests.support.virtual import LoopClock, in_virtual_time


@in_virtual_time
async def test_an_hour_passes_in_a_moment_and_to_the_second() -> None:
    clock = LoopClock()
    began, wall, spent = clock.now(), clock.wall(), time.process_time()
    woken: list[int] = []

    async def sleeper(minutes: int) -> None:
        await clock.sleep(60 * minutes)
        woken.append(minutes)

    await asyncio.gather(*(sleeper(minutes) for minutes in (60, 1, 30)))
    assert woken == [1, 30, 60]
    assert abs(clock.now() - began - 3600) < 1e-6
    assert abs(clock.wall() - wall - 3600) < 1e-3
    assert time.process_time() - spent < 5  # of the processor: what others do on the machine does not count


@in_virtual_time
async def test_no_time_passes_while_a_thread_is_at_work() -> None:
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(0.01):
        await asyncio.to_thread(time.sleep, 0.1)
    assert asyncio.get_running_loop().time() == began


@in_virtual_time
async def test_an_answer_comes_exactly_as_late_as_the_server_sends_it() -> None:
    async with FaultServer(script(delay(7.0), answer(good))) as server:
        began = asyncio.get_running_loop().time()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /api/partner/accounts HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert abs(asyncio.get_running_loop().time() - began - 7.0) < 1e-6
        writer.close()
        await writer.wait_closed()
