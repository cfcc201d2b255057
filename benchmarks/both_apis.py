"""A bulk run with a store over each of the two APIs, side by side.

``python -m benchmarks.both_apis --accounts 100000 --rounds 5`` collects the same number of accounts over the partner
API and over the v1.0 API, each time in a process of its own, in turns (ABBA), and prints as JSON what an account costs
in CPU, the ratio, and the memory that the run adds. Every default is on; the account list is part of the run.
"""

import argparse
import json
import statistics
import sys
from typing import Any

from benchmarks.bulk_memory import measure

__all__ = ["compare", "main"]

_APIS = ("partner", "v1")


def compare(accounts: int, rounds: int) -> dict[str, Any]:
    """Collect over both, ``rounds`` times each, and compare."""
    found: dict[str, list[dict[str, Any]]] = {api: [] for api in _APIS}
    ratios = []
    for number in range(rounds):
        # A machine that becomes slower within a pair must not always hit the same one.
        for api in _APIS if number % 2 == 0 else reversed(_APIS):
            one = measure(accounts, api)
            if not one["ok"] == one["observations"] == one["accounts_in_store"] == accounts:
                raise RuntimeError(f"{api}: not every account was collected once: {one}")
            found[api].append(one)
            print(json.dumps(one), file=sys.stderr, flush=True)
        cpu = {api: found[api][-1]["cpu_us_per_account"] for api in _APIS}
        ratios.append(cpu["v1"] / cpu["partner"])
    return {
        "accounts": accounts,
        "rounds": rounds,
        **{
            api: {
                name: statistics.median(one[name] for one in found[api])
                for name in ("cpu_us_per_account", "added_mib", "per_second", "store_mib")
            }
            for api in _APIS
        },
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in sorted(ratios)],
    }


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(json.dumps(compare(arguments.accounts, arguments.rounds), indent=2))


if __name__ == "__main__":
    main()
