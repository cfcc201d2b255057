"""Draw docs/images/collect.svg from a real collection against the simulator: python docs/make_picture.py."""

import asyncio
import io
import re
import tempfile
from datetime import date
from pathlib import Path

from rich.console import Console, Group
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from cyclr_async.cli.progress import progress_line
from cyclr_async.cli.summary import read_summary
from cyclr_async.cli.summary_table import draw_summary
from cyclr_async.simulator import Fault, Simulator
from cyclr_async.usage.collect.progress import Progress

ACCOUNTS = 5_000
TARGET = Path(__file__).parent / "images" / "collect.svg"
COMMAND = "cyclr usage collect --from-date 2026-11-01 --store usage.sqlite"


async def collect(simulator: Simulator, store: Path, from_date: date) -> tuple[Progress, dict[str, str]]:
    """Collect into the store; return a look at the run two thirds through, and the names of the plans."""
    look: Progress | None = None
    async with simulator.session() as session:
        async with session.accounts.collect_usage(from_date=from_date, store=store) as run:
            async for _ in run:
                progress = run.progress
                if look is None and progress.listing_complete and progress.done > ACCOUNTS * 0.66:
                    look = progress
        plans = {plan.id: plan.name for plan in await session.priceplans.list()}
        return look or run.progress, plans


async def draw(console: Console) -> None:
    """Run two collections, a month apart, and draw the second."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "usage.sqlite"
        async with Simulator(accounts=ACCOUNTS, seed=7) as simulator:
            await collect(simulator, store, date(2026, 10, 1))
            for account_id in simulator.account_ids(3):
                simulator.faults.add(Fault.status(403, operation="accounts.usage", account_id=account_id))
            look, plans = await collect(simulator, store, date(2026, 11, 1))
            now = simulator.clock.now()
        console.print(Text.assemble(("$ ", "bold green"), (COMMAND, "bold")))
        bar = Bar(BarColumn(bar_width=32), TextColumn("{task.description}"), console=console)
        bar.add_task(progress_line(look), completed=look.done, total=look.asked)
        console.print(Group(*bar.get_renderables()))
        draw_summary(console, read_summary(store, None, top=8, now=now), unicode=True, plans=plans)


def main() -> None:
    """Write the picture."""
    console = Console(
        record=True,
        width=100,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        markup=False,
        emoji=False,
    )
    asyncio.run(draw(console))
    picture = console.export_svg(title="cyclr usage collect", unique_id="collect")
    # The picture must show without the network: no fonts from elsewhere, the viewer's own will do.
    picture = re.sub(r"@font-face \{[^}]*\}", "", picture).replace("Fira Code", "ui-monospace, Menlo, Consolas")
    picture = picture.replace("<text ", '<text xml:space="preserve" ')
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE), encoding="utf-8")


if __name__ == "__main__":
    main()
