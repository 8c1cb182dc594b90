"""The progress of a run."""
