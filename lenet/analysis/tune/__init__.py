"""Tuning: which profiles are worth a measurement, the search among them, and what its measurements mean."""
