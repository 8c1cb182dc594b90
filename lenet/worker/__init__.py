"""The measuring process: one case in, events out."""
