"""The response examples of the API document, as they stand there.

Two differ from it in one respect: the document shows the id of a new account as ``{ Id: … }`` without quotes, which is
not JSON. What a server sends has the quotes.
"""

from __future__ import annotations

__all__ = ["ACCOUNTS", "ACCOUNT_ID", "DETAILS", "ID", "PRICE_PLANS", "SIGN_IN_TOKEN", "USAGE"]

ACCOUNT_ID = "00000000000000000000000000000000"

ACCOUNTS = """[
  {
    "Id": "00000000000000000000000000000000",
    "Name": "Demo Account",
    "Description": "This account is used for demos.",
    "PricePlanId": 2,
    "LastBillDate": "2017-02-09T16:23:08",
    "NextBillDate": "2017-03-09T16:23:08",
    "AuditInfo": "Demo"
  }
]
"""

DETAILS = """{
  "AnonymousAccountsEnabled":true,
  "ApplicationDisplayName":"Example Partner",
  "ApplicationIcon":"data:image/png;base64,...",
  "AppStyle":null,
  "ComingSoonConnectorsEnabled":true,
  "CustomConnectorsEnabled":true,
  "CycleNoun":"Cycle",
  "CycleSharingEnabled":true,
  "Domain":"partner.example.com",
  "IntercomAPIKey":null,
  "IntercomAppId":null,
  "IntercomSecretKey":null,
  "HeaderHtml":null,
  "FooterHtml":null
}
"""

ID = """{
  "Id": "00000000000000000000000000000000"
}
"""

SIGN_IN_TOKEN = """{
  "ExpiresAtUtc": "2016-11-18T10:50:45.6509216Z",
  "Token": "0000000000000000000000000000000000000"
}
"""

PRICE_PLANS = """[
  {
    "Id": "2",
    "Name": "Starter"
  },
  {
    "Id": "3",
    "Name": "Pro"
  }
]
"""

USAGE = """{
  "TaskCount": 1623,
  "CycleCount": 10,
  "FromDate": "2016-12-09T16:23:08",
  "ToDate": "2017-01-08T16:23:08",
  "CurrentPricePlanId": 3,
  "AuditInfo": "Demo"
}
"""
