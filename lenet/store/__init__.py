"""Outcomes on disk: records, events, run folders, and whether they are still fresh."""
