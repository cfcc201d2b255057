"""The bodies of the API document, as every benchmark serves and decodes them."""

import json
from typing import Final

__all__ = ["BILLING", "TOKEN", "V1_USAGE", "account_id", "accounts_body", "api_id", "v1_page"]

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

#: The usage of the v1.0 API; the id of the account stands for ``%b``, because an answer that names another is refused.
V1_USAGE: Final = (
    b'{"Id":"%b","TasksUsed":1623,"StartTime":"2016-12-09T16:23:08Z","EndTime":"2017-01-08T16:23:08.4543219Z"}'
)


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


def api_id(index: int) -> str:
    """The id of account ``index`` in the v1.0 API: a GUID with hyphens."""
    text = account_id(index)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def v1_page(number: int, size: int, count: int) -> bytes:
    """A page of the accounts of the v1.0 API, about 470 bytes each."""
    rows = (
        {
            "CreatedDate": "2016-11-04T11:12:09.455544Z",
            "Id": api_id(index),
            "Name": f"Demo Account {index}",
            "Description": "This account is used for demos.",
            "AuditInfo": "Demo",
            "TaskAuditInfo": None,
            "Timezone": "Europe/London",
            "NextBillDateUtc": "2017-03-09T16:23:08Z",
            "StepDataSuccessRetentionHours": None,
            "StepDataErroredRetentionHours": None,
            "TransactionErrorWebhookEnabled": False,
            "TransactionErrorWebhookUrl": None,
            "TransactionErrorWebhookIncludeWarnings": False,
        }
        for index in range((number - 1) * size, min(number * size, count))
    )
    return b"[" + b",".join(json.dumps(row, separators=(",", ":")).encode() for row in rows) + b"]"
