"""Results as Markdown tables and SVG plots."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders import CONTENDERS
from benchmarks.features import TITLES
from benchmarks.goals import goal_rows
from benchmarks.svg import bars, lines

__all__ = ["write_report"]

_BEGIN: Final = "<!-- results: written by python -m benchmarks.run -->"
_NONE: Final = "\N{EN DASH}"
_END: Final = "<!-- end of results -->"
_PREAMBLE: Final = f"""# Performance

{_BEGIN}
{_END}
"""


def write_report(results: dict[str, Any], page: Path) -> None:
    """Write the results between the two markers of ``page``, and the plots into the folder of its name."""
    plots = page.with_suffix("")
    plots.mkdir(parents=True, exist_ok=True)
    text = page.read_text() if page.exists() else _PREAMBLE
    if _BEGIN not in text or _END not in text:
        raise SystemExit(f"{page.name} has lost the lines between which the results belong: {_BEGIN} and {_END}")
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    parts = [_machine(results)]
    for section in (_goals, _ladder, _latency, _decode, _startup, _features, _scale, _instructions):
        parts += section(results, plots)
    page.write_text(f"{before}{_BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{_END}{after}")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lined = [f"| {' | '.join(row)} |" for row in (head, ["---", *["---:"] * (len(head) - 1)], *rows)]
    return "\n".join(lined)


def _plain(title: str) -> str:
    return title.replace("`", "").replace("*", "")


def _title(name: str) -> str:
    return CONTENDERS[name].title


def _plot(folder: Path, name: str, text: str, title: str) -> str:
    Path(folder, name).write_text(text)
    return f"![{title}]({folder.name}/{name})"


def _machine(results: dict[str, Any]) -> str:
    facts = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    cores = "own core for the client, own core for the server" if facts["pinned"] else "client and server not pinned"
    return f"{facts['date']} · {facts['cpu']}, {facts['cores']} cores ({cores}) · {facts['system']} · {versions}"


def _goals(results: dict[str, Any], _plots: Path) -> list[str]:
    head = ("goal", "measured", "gate", "moonshot", "verdict")
    return ["## Goals", _table(head, goal_rows(results))]


def _ladder(results: dict[str, Any], plots: Path) -> list[str]:
    rows = results.get("ladder")
    if not rows:
        return []
    concurrencies = sorted({row["concurrency"] for row in rows})
    parts = ["## Contenders"]
    for concurrency in concurrencies:
        taken = sorted(
            (row for row in rows if row["concurrency"] == concurrency), key=lambda row: row["ratio"]["median"]
        )
        head = (
            f"{concurrency} at a time",
            "req/s",
            "CPU s per 1,000",
            "against bare [95 %]",
            "added p50 / p99 ms",
            "peak MiB",
            "server req/s, core",
        )
        parts.append(_table(head, [_ladder_row(row) for row in taken]))
    middle = 50 if 50 in concurrencies else concurrencies[-1]
    data = [(_plain(_title(row["name"])), row["ratio"]["median"]) for row in rows if row["concurrency"] == middle]
    title = f"CPU per request, bare aiohttp = 1, {middle} at a time (logarithmic)"
    parts.append(_plot(plots, "contenders.svg", bars(title, data, unit=" x", mark=1.0), title))
    if len(concurrencies) > 1:
        series = {
            name: [(row["concurrency"], row["cpu_ms"]["median"] * 1000) for row in rows if row["name"] == name]
            for name in dict.fromkeys(row["name"] for row in rows)
        }
        title = "CPU per request by concurrency"
        plot = lines(title, series, x_label="calls at a time", y_label="µs per request")
        parts.append(_plot(plots, "concurrency.svg", plot, title))
    return parts


def _ladder_row(row: dict[str, Any]) -> tuple[str, ...]:
    ratio, rate, cpu = row["ratio"], row["rate"], row["cpu_ms"]
    added = _NONE
    if row["added_p50_s"] is not None:
        added = f"{row['added_p50_s'] * 1000:.2f} / {row['added_p99_s'] * 1000:.2f}"
    return (
        _title(row["name"]),
        f"{rate['median']:,.0f} ({rate['low']:,.0f} to {rate['high']:,.0f})",
        f"{cpu['median']:.3f} ({cpu['low']:.3f} to {cpu['high']:.3f})",
        f"{ratio['median']:.2f}x [{ratio['low']:.2f} to {ratio['high']:.2f}]",
        added,
        f"{row['peak_mib']:.0f}",
        f"{row['server_rate']:,.0f}, {row['server_share']:.0%}",
    )


def _latency(results: dict[str, Any], plots: Path) -> list[str]:
    rows = results.get("latency")
    if not rows:
        return []
    parts = ["## Concurrency against latency"]
    for delay in sorted({row["delay"] for row in rows}):
        taken = [row for row in rows if row["delay"] == delay]
        concurrencies = sorted({row["concurrency"] for row in taken})
        table = []
        for name in dict.fromkeys(row["name"] for row in taken):
            cells = {row["concurrency"]: row for row in taken if row["name"] == name}
            table.append([_title(name), *(_share(cells.get(concurrency)) for concurrency in concurrencies)])
        busiest = max(row["server_share"] for row in taken)
        head = (
            f"server adds {delay * 1000:g} ms: req/s (share of the bound); server core {busiest:.0%} at most",
            *(f"c={c}" for c in concurrencies),
        )
        parts.append(_table(head, table))
        series = {
            name: [(row["concurrency"], row["rate"]["median"]) for row in taken if row["name"] == name]
            for name in dict.fromkeys(row["name"] for row in taken)
        }
        series["bound"] = [(concurrency, concurrency / delay) for concurrency in concurrencies]
        title = f"Requests per second when the server adds {delay * 1000:g} ms"
        plot = lines(title, series, x_label="calls at a time", y_label="req/s")
        parts.append(_plot(plots, f"latency-{delay * 1000:g}ms.svg", plot, title))
    return parts


def _share(row: dict[str, Any] | None) -> str:
    if row is None:
        return _NONE
    rate = row["rate"]["median"]
    return f"{rate:,.0f} ({rate * row['delay'] / row['concurrency']:.0%})"


def _decode(results: dict[str, Any], _plots: Path) -> list[str]:
    found = results.get("decode")
    if not found:
        return []
    memory = [
        (
            row["title"],
            f"{row['wall_s']:.3f}",
            f"{row['ratio']['median']:.2f}x",
            f"{row['peak_mib']:.0f}",
            f"{row['live_bytes']:,.0f}",
        )
        for row in found["memory"]
    ]
    network = [
        (
            row["title"],
            f"{row['cpu_s']:.3f}",
            f"{row['ratio']['median']:.2f}x",
            f"{row['first_s'] * 1000:.1f}",
            f"{row['peak_mib']:.1f}",
            f"{row['live_bytes']:,.0f}" if row["live_bytes"] else _NONE,
            f"{row['blocked_s'] * 1000:.0f}",
        )
        for row in found["network"]
    ]
    return [
        f"## {found['accounts']:,} accounts",
        _table(("decoded from memory", "seconds", "CPU against `json.loads`", "peak MiB", "bytes per account"), memory),
        _table(
            (
                "read over HTTP",
                "CPU s",
                "against read + `json.loads`",
                "first account ms",
                "peak MiB",
                "bytes per account",
                "loop blocked ms",
            ),
            network,
        ),
    ]


def _startup(results: dict[str, Any], _plots: Path) -> list[str]:
    found = results.get("startup")
    if not found:
        return []
    imports = [
        (f"`{title}`", f"{times['median']:.0f} ({times['low']:.0f} to {times['high']:.0f})")
        for title, times in found["imports"].items()
    ]
    memory = found["memory"]
    held = [
        ("a session, made", f"{memory['cyclr_made_bytes'] / 1024:.1f}"),
        ("a session, after its first call", f"{memory['cyclr_used_bytes'] / 1024:.1f}"),
        ("an `aiohttp.ClientSession`, after its first call", f"{memory['aiohttp_used_bytes'] / 1024:.1f}"),
    ]
    return ["## Start", _table(("import", "ms"), imports), _table(("memory of", "KiB"), held)]


def _features(results: dict[str, Any], _plots: Path) -> list[str]:
    found = results.get("features")
    if not found:
        return []
    rows = []
    for name, figures in found["rows"].items():
        ratio = figures["ratio"]
        saved = figures["default_us"] * (1 - ratio["median"])
        interval = f"{ratio['median']:.3f}x [{ratio['low']:.3f} to {ratio['high']:.3f}]"
        rows.append((TITLES[name], interval, f"{saved:+.1f}"))
    return ["## What is on by default", _table(("`accounts.usage`", "CPU against all on [95 %]", "µs saved"), rows)]


def _scale(results: dict[str, Any], plots: Path) -> list[str]:
    rows = results.get("scale")
    if not rows:
        return []
    table = [
        (
            row["title"],
            f"{row['accounts']:,}",
            f"{row['cpu_us']:.0f}",
            f"{row['rate']:,.0f}",
            f"{row['grown_mib']:.1f}",
            f"{row['server_share']:.0%}",
        )
        for row in rows
    ]
    names = dict.fromkeys(row["name"] for row in rows)
    parts = [
        "## Scale",
        _table(("50 at a time", "accounts", "CPU µs each", "per second", "MiB added", "server core"), table),
    ]
    for figure, title, label in (
        ("cpu_us", "CPU per account by number of accounts", "µs per account"),
        ("grown_mib", "Memory added by number of accounts", "MiB"),
    ):
        series = {n: [(row["accounts"], max(row[figure], 0.1)) for row in rows if row["name"] == n] for n in names}
        plot = lines(title, series, x_label="accounts", y_label=label)
        parts.append(_plot(plots, f"scale-{figure.partition('_')[0]}.svg", plot, title))
    return parts


def _instructions(results: dict[str, Any], _plots: Path) -> list[str]:
    found = results.get("instructions")
    if not found:
        return []
    counts = found["instructions"]
    rows = [(_title(name), f"{count:,}", f"{count / counts['bare']:.3f}x") for name, count in counts.items()]
    return [
        "## Instructions per call",
        _table(("over connections that lead nowhere", "instructions", "against bare"), rows),
    ]
