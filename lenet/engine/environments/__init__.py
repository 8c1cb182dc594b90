"""Environments for workers: other releases of a framework, and the very packages of a record.

Made once with venv and pip in the cache.
The parent stays where it is; only workers run in such an environment, with this very package lent to them.
"""
