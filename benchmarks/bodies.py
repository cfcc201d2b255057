"""The bodies of the API document, as every benchmark serves and decodes them."""

import json
from typing import Final

__all__ = ["BILLING", "TOKEN", "account_id", "accounts_body"]

#: The access token the clients send; the load server does not look at it.
TOKEN: Final = "benchmark-token"

#: "Get Account Usage", the document's own example without its whitespace.
BILLING: Final = json.dumps(
    {
        "TaskCount": 1623,
        "CycleCount": 10,
        "FromDate": "2016-12-09T16:23:08",
        "ToDate": "2017-01-08T16:23:08",
        "CurrentPricePlanId": 3,
        "AuditInfo": "Demo",
    },
    separators=(",", ":"),
).encode()


def account_id(index: int) -> str:
    """The id of account ``index``: 32 hexadecimal digits, as the API's own."""
    return f"{index:032x}"


def accounts_body(count: int) -> bytes:
    """The answer of "List Accounts" for ``count`` accounts, about 220 bytes each."""
    rows = (
        {
            "Id": account_id(index),
            "Name": f"Demo Account {index}",
            "Description": "This account is used for demos.",
            "PricePlanId": 2 + index % 3,
            "LastBillDate": "2017-02-09T16:23:08",
            "NextBillDate": "2017-03-09T16:23:08",
            "AuditInfo": "Demo",
        }
        for index in range(count)
    )
    return b"[" + b",".join(json.dumps(row, separators=(",", ":")).encode() for row in rows) + b"]"
