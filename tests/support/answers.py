"""Good answers of the partner API as raw bytes, each of which can be told from every other."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.server import Request

__all__ = ["ACCOUNT", "account_id", "document", "good", "http", "json_http", "task_count"]

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


def account_id(number: int) -> str:
    """An account id of the documented shape."""
    return f"{number:032x}"


ACCOUNT = account_id(7)


def task_count(account: str) -> int:
    """What the server says this account used; from it an answer can be attributed to the account it belongs to."""
    return int(account, 16) % 1_000_003


def http(
    status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None, *, length: bool = True
) -> bytes:
    """One HTTP answer as bytes."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
    merged = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    if length and not any(name.lower() == "content-length" for name in merged):
        merged["Content-Length"] = str(len(body))
    lines += [f"{name}: {value}" for name, value in merged.items() if value]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def json_http(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    return http(status, json.dumps(value).encode(), headers)


def document(request: Request) -> object:
    """What the API document answers to this request."""
    parts = request.path.removeprefix("/api/partner/").split("/")
    match request.method, parts:
        case "GET", ["accounts", account, "billing"]:
            return {
                "TaskCount": task_count(account),
                "CycleCount": 10,
                "FromDate": "2016-12-09T16:23:08",
                "ToDate": "2017-01-08T16:23:08",
                "CurrentPricePlanId": 3,
                "AuditInfo": account,
            }
        case "GET", ["", "v1.0", "accounts", account, "usage"]:
            return {
                "Id": account,
                "TasksUsed": task_count(account),
                "StartTime": "2016-12-09T16:23:08Z",
                "EndTime": "2017-01-08T16:23:08.5Z",
            }
        case "PUT", ["accounts", account]:
            return {"Id": account}
        case "POST", ["createaccount"]:
            return {"Id": f"{hash(request.request_id) & (1 << 128) - 1:032x}"}
        case "POST", ["createaccountsignintoken"]:
            return {"ExpiresAtUtc": "2036-11-18T10:50:45.6509216Z", "Token": "canary-signin-token-4f1d"}
        case "GET", ["priceplans"]:
            return [{"Id": "2", "Name": "Starter"}, {"Id": "3", "Name": "Pro"}]
        case "GET", ["accounts"]:
            return [
                {
                    "Id": account_id(number),
                    "Name": f"Account {number}",
                    "Description": "",
                    "PricePlanId": 2,
                    "LastBillDate": "2017-02-09T16:23:08",
                    "NextBillDate": "2017-03-09T16:23:08",
                    "AuditInfo": "Demo",
                }
                for number in range(3)
            ]
    raise LookupError(f"no document for {request.method} {request.path}")


def good(request: Request, headers: Mapping[str, str] | None = None) -> bytes:
    """The good answer to this request."""
    if request.path.endswith("/installconnector"):
        return http(200, b"", headers)
    return json_http(document(request), headers=headers)


def gzipped(request: Request) -> bytes:
    return http(200, gzip.compress(json.dumps(document(request)).encode()), {"Content-Encoding": "gzip"})
