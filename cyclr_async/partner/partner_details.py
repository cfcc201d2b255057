"""The partner itself."""

from collections.abc import Mapping
from typing import Any

import attrs

from cyclr_async.secret import Secret
from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["PartnerDetails"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class PartnerDetails(Model):
    """The answer of *Partner Details* (``GET details``).

    The three Intercom values are secrets. A model that holds one is not pickled: ``pickle.dumps`` raises the
    ``TypeError`` of :class:`~cyclr_async.secret.Secret`.

    Attributes:
        anonymous_accounts_enabled: whether end users may start without an account.
        application_display_name: the name of the partner's application.
        application_icon: an image as a ``data:`` URI; may be tens of kilobytes.
        app_style: a style sheet, or None.
        coming_soon_connectors_enabled: whether connectors in preparation are shown.
        custom_connectors_enabled: whether the partner's own connectors are allowed.
        cycle_noun: what a cycle is called in the application.
        cycle_sharing_enabled: whether cycles may be shared.
        domain: the partner's service domain, a bare host such as ``partner.example.com``.
        intercom_api_key: a secret, or None.
        intercom_app_id: treated as a secret, or None.
        intercom_secret_key: a secret, or None.
        header_html: HTML, or None.
        footer_html: HTML, or None.
        extra: fields of the answer that the document does not describe.
    """

    anonymous_accounts_enabled: bool
    application_display_name: str | None = None
    # Long, and markup of the partner's own: kept out of repr, as are the style and the HTML below.
    application_icon: str | None = attrs.field(default=None, repr=False)
    app_style: str | None = attrs.field(default=None, repr=False)
    coming_soon_connectors_enabled: bool
    custom_connectors_enabled: bool
    cycle_noun: str | None = None
    cycle_sharing_enabled: bool
    domain: str | None = None
    # By name: the document writes API in capitals, which the rule for names would not.
    intercom_api_key: Secret | None = attrs.field(default=None, metadata={"wire": "IntercomAPIKey"})
    intercom_app_id: Secret | None = None
    intercom_secret_key: Secret | None = None
    header_html: str | None = attrs.field(default=None, repr=False)
    footer_html: str | None = attrs.field(default=None, repr=False)
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
