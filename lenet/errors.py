"""The errors that a person is meant to read, and the exit codes of the command."""

from __future__ import annotations

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
"""Exit codes: a case failed or a check said no; input that cannot be used; stopped by Ctrl-C."""


class UsageError(ValueError):
    """Input that cannot be used: one clear sentence that says what to do. The command ends with exit code 2."""


class DatasetError(UsageError):
    """Data that is absent, damaged or not what it claims to be."""


class StoreError(UsageError):
    """A run folder that cannot be written, or that does not hold what a run holds."""
