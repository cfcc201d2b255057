"""The billing body as a pydantic model, built at run time so that this package type-checks without pydantic."""

import importlib
from datetime import datetime
from typing import Any

__all__ = ["usage_model"]


def usage_model(base: Any = None) -> Any:
    """A pydantic model class with snake-case names over the wire's own; ``base`` is its base class."""
    pydantic: Any = importlib.import_module("pydantic")
    field = pydantic.Field
    return pydantic.create_model(
        "Usage",
        __base__=base or pydantic.BaseModel,
        task_count=(int, field(alias="TaskCount")),
        cycle_count=(int, field(alias="CycleCount")),
        from_date=(datetime, field(alias="FromDate")),
        to_date=(datetime, field(alias="ToDate")),
        current_price_plan_id=(int | None, field(alias="CurrentPricePlanId")),
        audit_info=(str | None, field(alias="AuditInfo")),
    )
