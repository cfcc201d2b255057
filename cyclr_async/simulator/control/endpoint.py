"""The control endpoint: look at the simulator and change it over HTTP, from any language."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from aiohttp.web_request import BaseRequest

from cyclr_async.simulator.domain.lenient_fields import RefusedError, dump
from cyclr_async.simulator.domain.simulator_state import SimulatorState
from cyclr_async.simulator.faults.fault import Fault
from cyclr_async.simulator.replies import Reply

__all__ = ["CONTROL_PREFIX", "accepted", "answer_control"]

CONTROL_PREFIX: Final = "/_simulator/"


def accepted(host: str, hosts: frozenset[str]) -> bool:
    """Tell whether a host, with a port or without, is among those accepted with this port or with any."""
    host = host.lower()
    name, colon, port = host.rpartition(":")
    return host in hosts or (bool(colon) and port.isdigit() and name in hosts)


def answer_control(
    world: SimulatorState, request: BaseRequest, path: str, query: str, body: bytes, hosts: frozenset[str] | None
) -> Reply:
    """Answer a request below ``/_simulator/``.

    Raises:
        RefusedError: with the status and the reason.
    """
    origin = request.headers.get("Origin")
    if origin is not None and (hosts is None or not accepted(origin.partition("://")[2], hosts)):
        raise RefusedError(403, "The control endpoint takes no requests from web pages of other origins.")
    name, _, rest = path[len(CONTROL_PREFIX) :].rstrip("/").partition("/")
    methods = _ROUTES.get(name if name in ("faults", "accounts") or not rest else f"{name}/{rest}")
    if methods is None:
        raise RefusedError(404, f"No control named '{name[:100]}'; there are {', '.join(_ROUTES)}.")
    handler = methods.get(request.method)
    if handler is None:
        words = f"The requested resource does not support http method '{request.method[:20]}'."
        raise RefusedError(405, words, {"Allow": ", ".join(methods)})
    try:
        found = handler(world, unquote(rest), query, body)
    except (ValueError, OverflowError, RecursionError) as error:
        raise RefusedError(400, str(error)[:500]) from None
    return Reply(200, dump(found))


def _object(body: bytes, *names: str) -> dict[str, Any]:
    data = json.loads(body)
    if not isinstance(data, dict) or not set(data) <= set(names):
        raise ValueError(f"the body is a JSON object with {' or '.join(names)}")
    return data


def _state(world: SimulatorState, *_: object) -> dict[str, Any]:
    return {
        "accounts": len(world.state),
        "seed": world.settings.seed,
        "now": world.clock.now().isoformat(),
        "faults": len(world.faults),
        "requests": world.requests.total,
        "requests_per_second": world.rate.per_second,
        "live_tokens": world.tokens.live,
        "open_sign_in_tokens": world.sign_ins.waiting,
        "sign_ins": [
            {"account_id": visit.account_id, "username": visit.username, "at": visit.at.isoformat()}
            for visit in world.sign_ins.used[-100:]
        ],
    }


def _faults(world: SimulatorState, *_: object) -> list[dict[str, Any]]:
    return [{"id": number, "hits": hits, **fault.to_dict()} for number, fault, hits in world.faults.items()]


def _add_fault(world: SimulatorState, _rest: str, _query: str, body: bytes) -> dict[str, Any]:
    data = json.loads(body)
    fault = Fault.parse(data) if isinstance(data, str) else Fault.from_dict(data)
    return {"id": world.faults.add(fault), **fault.to_dict()}


def _remove_faults(world: SimulatorState, rest: str, *_: object) -> list[dict[str, Any]]:
    if not rest:
        world.faults.clear()
    elif not rest.isascii() or not rest.isdecimal() or not world.faults.remove(int(rest[:18])):
        raise RefusedError(404, "No fault with that id.")
    return _faults(world)


def _limit(query: str, usual: int) -> int:
    given = parse_qs(query, max_num_fields=100).get("limit", [str(usual)])[0]
    if not given.isascii() or not given.isdecimal() or not 0 <= int(given[:9]) <= 10_000:
        raise ValueError("limit is a whole number from 0 to 10000")
    return int(given[:9])


def _requests(world: SimulatorState, _rest: str, query: str, _body: bytes) -> list[dict[str, Any]]:
    limit = _limit(query, 1000)
    return [
        {
            "number": record.number,
            "at": record.at.isoformat(),
            "method": record.method,
            "path": record.path,
            "operation": record.operation,
            "account_id": record.account_id,
            "status": record.status,
            "fault": record.fault,
            "request_id": record.request_id,
        }
        for record in (list(world.requests)[-limit:] if limit else [])
    ]


def _clear_requests(world: SimulatorState, *_: object) -> list[dict[str, Any]]:
    world.requests.clear()
    return []


def _clock(world: SimulatorState, *_: object) -> dict[str, Any]:
    return {"now": world.clock.now().isoformat()}


def _move_clock(world: SimulatorState, _rest: str, _query: str, body: bytes) -> dict[str, Any]:
    data = _object(body, "advance", "set")
    if len(data) != 1:
        raise ValueError('give either {"advance": seconds} or {"set": "2026-12-01T00:00:00Z"}')
    if "advance" in data:
        if isinstance(data["advance"], bool) or not isinstance(data["advance"], (int, float)):
            raise ValueError("advance is a number of seconds")
        world.clock.advance(data["advance"])
    else:
        world.clock.set(datetime.fromisoformat(str(data["set"])))
    return _clock(world)


def _rate(world: SimulatorState, *_: object) -> dict[str, Any]:
    return {"requests_per_second": world.rate.per_second}


def _set_rate(world: SimulatorState, _rest: str, _query: str, body: bytes) -> dict[str, Any]:
    rate = _object(body, "requests_per_second").get("requests_per_second")
    if rate is not None and not isinstance(rate, (int, float)):
        raise ValueError("requests_per_second is a number, or null for no limit")
    world.rate.per_second = rate
    return _rate(world)


def _tokens(world: SimulatorState, *_: object) -> dict[str, Any]:
    tokens = world.tokens
    return {
        "live": tokens.live,
        "lifetime": tokens.lifetime,
        "one_pair": tokens.one_pair,
        "refresh_tokens_reused": tokens.reused,
    }


def _set_tokens(world: SimulatorState, _rest: str, _query: str, body: bytes) -> dict[str, Any]:
    data = _object(body, "one_pair", "lifetime")
    one, lifetime = data.get("one_pair", world.tokens.one_pair), data.get("lifetime", world.tokens.lifetime)
    if not isinstance(one, bool):
        raise ValueError("one_pair is true or false")  # noqa: TRY004 - answered with 400, as every wrong value
    if isinstance(lifetime, bool) or not isinstance(lifetime, int) or not 1 <= lifetime <= 10_000_000_000:
        raise ValueError("lifetime is a whole number of seconds, 1 or more")
    world.tokens.one_pair, world.tokens.lifetime = one, lifetime
    return _tokens(world)


def _revoke(world: SimulatorState, *_: object) -> dict[str, Any]:
    return {"revoked": world.tokens.revoke()}


def _reset(world: SimulatorState, *_: object) -> dict[str, Any]:
    world.reset()
    return _state(world)


def _accounts(world: SimulatorState, rest: str, query: str, _body: bytes) -> Any:
    if not rest:
        return list(itertools.islice(world.state.ids(), _limit(query, 100)))
    record = world.state.find(rest)
    if record is None:
        raise RefusedError(404, "No account with that id.")
    connectors = [
        {"name": item.name, "connector": item.connector, "version": item.version} for item in record.connectors
    ]
    shown = record.listed(world.clock.now())
    return {**shown, "Timezone": record.timezone, "connectors": connectors, "users": sorted(record.users)}


def _fix_usage(world: SimulatorState, rest: str, _query: str, body: bytes) -> dict[str, Any]:
    record = world.state.touch(rest)
    if record is None:
        raise RefusedError(404, "No account with that id.")
    data = _object(body, "tasks", "cycles", "period")
    counts = [data.get("tasks"), data.get("cycles", 0)]
    if any(isinstance(count, bool) or not isinstance(count, int) or abs(count) >= 1 << 62 for count in counts):
        raise ValueError('the body is {"tasks": 10, "cycles": 1}, whole numbers, and may name a "period"')
    record.fix_usage(counts[0], counts[1], _period(data.get("period")))
    return {"tasks": counts[0], "cycles": counts[1], "period": data.get("period")}


def _period(given: object) -> object:
    if isinstance(given, list) and len(given) == 2:
        return tuple(map(_day_or_moment, given))
    return None if given is None else _day_or_moment(given)


def _day_or_moment(given: object) -> date:
    if not isinstance(given, str):
        raise ValueError('a period is "2026-10-01", a time in it, or a list of its beginning and its end')  # noqa: TRY004
    return date.fromisoformat(given) if len(given) == 10 else datetime.fromisoformat(given)


_ROUTES: Final[Mapping[str, Mapping[str, Callable[[SimulatorState, str, str, bytes], Any]]]] = {
    "state": {"GET": _state},
    "faults": {"GET": _faults, "POST": _add_fault, "DELETE": _remove_faults},
    "requests": {"GET": _requests, "DELETE": _clear_requests},
    "clock": {"GET": _clock, "POST": _move_clock},
    "rate": {"GET": _rate, "POST": _set_rate},
    "accounts": {"GET": _accounts, "PUT": _fix_usage},
    "tokens": {"GET": _tokens, "POST": _set_tokens},
    "tokens/revoke": {"POST": _revoke},
    "reset": {"POST": _reset},
}
