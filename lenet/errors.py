"""The one error a person is meant to read."""


class UsageError(ValueError):
    """Input that cannot be used: one clear sentence that says what to do. The command ends with exit code 2."""


class DatasetError(UsageError):
    """Data that is absent, damaged or not what it claims to be."""


class StoreError(UsageError):
    """A run folder that cannot be written, or that does not hold what a run holds."""
