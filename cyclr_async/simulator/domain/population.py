"""Accounts that exist without being stored: everything about one is derived from the seed and its number."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

import attrs

from cyclr_async.simulator.domain.clock import add_months

__all__ = ["Population", "Seeded"]

_MASK: Final = (1 << 64) - 1
_FIRST: Final = (
    "Acme",
    "Northwind",
    "Globex",
    "Umbra",
    "Müller & Söhne",
    "Initech",
    "Café Ópera",
    "O'Neill",
    "Stark",
    "Wayne",
    "Łódź",
    "日本",
    "Ångström",
    "Hooli",
    "Vandelay",
    "Soylent",
    'The "Quoted"',
    "Blue Sun",
    "Tyrell",
    "Wonka",
    "Oscorp",
    "Zażółć",
    "Cyberdyne",
    "Пример",
    "Aperture",
    "Massive",
    "Ñandú",
    "Octan",
    "Duff",
    "Monarch",
)
_SECOND: Final = (
    "Logistics",
    "Trading",
    "Foods",
    "Systems",
    "Bikes",
    "Health",
    "Media",
    "Energy",
    "Labs",
    "Retail",
    "Travel",
    "Robotics",
    "Books",
    "Insurance",
    "Studios",
    "Farms",
)
_FORM: Final = ("Ltd", "Inc.", "GmbH", "S.A.", "LLC", "plc", "K.K.", ", Sons & Co", "🚀")
_ZONES: Final = (
    "Europe/London",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Tokyo",
    "Australia/Sydney",
    "UTC",
)
_PLANS: Final = (2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4)
"""Most customers are on the smallest plan."""


@attrs.frozen(slots=True)
class Seeded:
    """What is known of an account that nobody has touched yet."""

    name: str
    description: str | None
    timezone: str
    price_plan_id: int
    audit_info: str | None
    created: datetime
    tasks_per_day: int
    cycles: int


class Population:
    """The accounts that a seed stands for.

    An account id holds its number in enciphered form, so that looking one up is arithmetic, whatever their number.

    Args:
        seed: the same seed gives the same accounts.
        start: the instant at which they are looked at first; all were created before.
    """

    def __init__(self, seed: int, start: datetime) -> None:
        self._start = start.replace(microsecond=0)
        key = f"cyclr {seed}".encode()
        self._upper = blake2b(key=key[:64], digest_size=8, person=b"upper")
        self._lower = blake2b(key=key[:64], digest_size=8, person=b"lower")
        self._traits = blake2b(key=key[:64], digest_size=32, person=b"traits")
        self._key = key

    def secret(self, purpose: str, number: int, size: int = 32) -> bytes:
        """Return ``size`` bytes, up to 64, that depend on the seed, the purpose and the number only."""
        return blake2b(f"{purpose} {number}".encode(), key=self._key[:64], digest_size=size).digest()

    @staticmethod
    def _hash(base: blake2b, number: int) -> int:
        copy = base.copy()
        copy.update(number.to_bytes(8, "big"))
        return int.from_bytes(copy.digest(), "big")

    def id_of(self, index: int) -> str:
        """Return the id of an account: 32 hexadecimal digits."""
        upper = self._hash(self._upper, index)
        return f"{upper:016x}{index ^ self._hash(self._lower, upper):016x}"

    def index_of(self, account_id: str) -> int | None:
        """Return the number that the id stands for, or None when the id is not one of this seed."""
        if len(account_id) == 36 and account_id.count("-") == 4:
            account_id = account_id.replace("-", "")
        if len(account_id) != 32 or not account_id.isascii() or not account_id.isalnum():
            return None
        try:
            upper, lower = int(account_id[:16], 16), int(account_id[16:], 16)
        except ValueError:
            return None
        index = (lower ^ self._hash(self._lower, upper)) & _MASK
        return index if self._hash(self._upper, index) == upper else None

    def bits(self, index: int) -> int:
        """Return 256 bits that decide everything about the account."""
        copy = self._traits.copy()
        copy.update(index.to_bytes(8, "big"))
        return int.from_bytes(copy.digest(), "big")

    def rhythm(self, bits: int) -> tuple[int, int]:
        """Return tasks per day and running cycles: few customers do most of the work."""
        rank = 1 + (bits >> 64) % 100_000
        if rank > 92_000:
            return 0, 0
        tasks = min(200_000, 400_000 // rank) + (bits >> 96) % 7
        return tasks, 1 + min(60, tasks.bit_length() * ((bits >> 104) % 4) + (bits >> 112) % 3)

    def seeded(self, index: int) -> Seeded:
        """Return the account with this number as it was before anyone changed it."""
        bits = self.bits(index)
        name = f"{_FIRST[bits % len(_FIRST)]} {_SECOND[(bits >> 8) % len(_SECOND)]}"
        form = (bits >> 16) % (len(_FORM) + 6)
        if form < len(_FORM):
            name = f"{name}{'' if _FORM[form].startswith(',') else ' '}{_FORM[form]}"
        tasks, cycles = self.rhythm(bits)
        kind = (bits >> 120) % 8
        return Seeded(
            name=f"{name} {index + 1}",
            description=None
            if kind == 0
            else ""
            if kind == 1
            else f"Customer since plan change {kind}, region {kind * 7}",
            timezone=_ZONES[(bits >> 128) % len(_ZONES)],
            price_plan_id=self.price_plan_id(bits),
            audit_info=self.audit_info(bits, index),
            created=self.created(bits),
            tasks_per_day=tasks,
            cycles=cycles,
        )

    @staticmethod
    def price_plan_id(bits: int) -> int:
        """Return the price plan of the account."""
        return _PLANS[(bits >> 136) % len(_PLANS)]

    @staticmethod
    def audit_info(bits: int, index: int) -> str | None:
        """Return the partner's own reference; one account in a hundred has none."""
        return None if index >= 10 and (bits >> 144) % 100 == 0 else f"crm-{index + 1:06d}"

    def created(self, bits: int) -> datetime:
        """Return when the account was created: one month to four years before the start."""
        months = 1 + (bits >> 152) % 48
        return add_months(self._start, -months) - timedelta(seconds=(bits >> 160) % (27 * 86_400))
