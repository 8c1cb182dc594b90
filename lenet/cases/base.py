"""The base of every value object."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of every value here: immutable, closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _in_utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("it has no time zone")
    try:
        return time.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError("it is outside of the calendar") from error


Instant = Annotated[datetime, AfterValidator(_in_utc)]
"""A moment in UTC; text in any time zone is read, and refused without one."""
