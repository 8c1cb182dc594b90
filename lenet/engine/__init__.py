"""Engines carry cases out in isolated workers and hand records to a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lenet.case import Case
from lenet.record import Record


@dataclass(frozen=True)
class Limits:
    """When a worker is killed, in seconds: `wall_seconds` since its start, `silence_seconds` without an event."""

    wall_seconds: float | None = None
    silence_seconds: float = 600.0


class Observer(Protocol):
    """Who watches a run. Called from the parent, in order, never at the same time."""

    def case_started(self, case: Case, index: int, total: int) -> None:
        """The worker of case `index` (0-based) of `total` is about to start."""

    def event(self, case: Case, event: Mapping[str, Any]) -> None:
        """The worker reported an event: a mapping in the form of `lenet.events`."""

    def case_finished(self, case: Case, record: Record) -> None:
        """The record is on disk."""


class SilentObserver:
    """Watches and says nothing."""

    def case_started(self, case: Case, index: int, total: int) -> None:
        """Say nothing."""

    def event(self, case: Case, event: Mapping[str, Any]) -> None:
        """Say nothing."""

    def case_finished(self, case: Case, record: Record) -> None:
        """Say nothing."""
