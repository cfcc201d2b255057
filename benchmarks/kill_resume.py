"""kill -9 of a collecting process, over and over, until the collection is complete.

``python -m benchmarks.kill_resume --kills 50`` prints what was lost, doubled and asked again, as JSON. Every kill comes
at a random moment of a real collection from the load server, with its list, its workers and its store. ``--api v1``
collects over the v1.0 API.
"""

import argparse
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import attrs

from benchmarks.processes import ROOT, Server

__all__ = ["Tally", "kill_and_resume", "main"]

_COLLECT = """
import asyncio, sys
from cyclr_async import AsyncPartnerSession

async def main(base_url, store, api):
    v1_url = base_url.replace("/api/partner", "/v1.0")
    async with AsyncPartnerSession("token", partner="benchmark", base_url=base_url, v1_url=v1_url) as session:
        accounts = session.v1.accounts if api == "v1" else session.accounts
        print("started", flush=True)
        async with accounts.collect_usage(store=store) as run:
            async for outcome in run:
                assert outcome.ok, outcome.error
            progress = run.progress
            assert progress.ok == progress.asked, progress
    print("complete", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@attrs.define
class Tally:
    """What became of the accounts.

    Attributes:
        accounts: how many there are.
        kills: processes that were killed while they collected.
        rounds: processes that were started.
        lost: accounts without a usage in the end.
        doubled: usages observed more than once.
        asked_again: requests beyond one per account.
        asked_again_at_most: the most of them that one kill caused.
        damaged: what SQLite says of the file, if it is not "ok".
    """

    accounts: int
    kills: int = 0
    rounds: int = 0
    lost: int = 0
    doubled: int = 0
    asked_again: int = 0
    asked_again_at_most: int = 0
    damaged: str = ""


def kill_and_resume(
    accounts: int,
    kills: int,
    folder: Path,
    *,
    seed: int = 1,
    longest: float = 0.8,
    delay: float = 0.0,
    api: str = "partner",
) -> Tally:
    """Collect with that many kills, each at a random moment up to ``longest`` seconds after the start.

    Args:
        accounts: how many there are.
        kills: processes to kill; fewer are killed when the accounts run out before.
        folder: where the store is made.
        seed: of the moments.
        longest: seconds.
        delay: seconds that the server takes for an answer: with it, how many accounts a second can be asked does not
            depend on the machine.
        api: ``partner`` or ``v1``.
    """
    store = folder / "usage.sqlite"
    dice = random.Random(seed)
    tally = Tally(accounts)
    with Server(accounts=accounts, delay=delay) as server:
        complete = False
        while not complete:
            tally.rounds += 1
            before = _collected(store)
            wait = dice.uniform(0, longest) if tally.kills < kills else None
            complete, killed = _round(server.base_url, store, api, wait)
            tally.kills += killed
            # The account list is among the requests until it was registered completely.
            again = int(server.figures()["requests"]) - (_collected(store) - before)
            tally.asked_again += again
            tally.asked_again_at_most = max(tally.asked_again_at_most, again)
    with closing(sqlite3.connect(store)) as connection:
        distinct, rows = connection.execute("SELECT count(DISTINCT account_id), count(*) FROM observation").fetchone()
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    tally.lost, tally.doubled = accounts - distinct, rows - distinct
    tally.damaged = "" if verdict == "ok" else verdict
    return tally


def _round(base_url: str, store: Path, api: str, wait: float | None) -> tuple[bool, bool]:
    """Run one process; returns whether it completed, and whether it was killed before that."""
    with subprocess.Popen(
        [sys.executable, "-c", _COLLECT, base_url, str(store), api], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"started\n":
            raise RuntimeError("the collecting process did not start")
        if wait is not None:
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
        complete = b"complete" in process.stdout.read()
        status = process.wait(600)
    if status not in {0, -signal.SIGKILL}:
        raise RuntimeError(f"the collecting process ended with status {status}")
    return complete, status == -signal.SIGKILL


def _collected(store: Path) -> int:
    if not store.exists():
        return 0
    with closing(sqlite3.connect(store)) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'item'").fetchone() == (0,):
            return 0
        found: tuple[int] = connection.execute("SELECT count(*) FROM item WHERE state = 'ok'").fetchone()
    return found[0]


def main() -> None:
    """Print what was lost, doubled and asked again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--accounts", type=int, help="700 per kill when not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--api", choices=("partner", "v1"), default="partner")
    arguments = parser.parse_args()
    accounts = arguments.accounts or 700 * arguments.kills
    with tempfile.TemporaryDirectory() as folder:
        tally = kill_and_resume(accounts, arguments.kills, Path(folder), seed=arguments.seed, api=arguments.api)
    print(json.dumps(attrs.asdict(tally)))
    if tally.lost or tally.doubled or tally.damaged or tally.kills < arguments.kills:
        sys.exit(1)


if __name__ == "__main__":
    main()
