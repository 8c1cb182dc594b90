"""Environments for workers: other releases of a framework, and the packages of a record.

They are made once in the cache, with venv and pip. The command itself stays on its own interpreter; only workers run in
such an environment, and import this package from where the command does.
"""
