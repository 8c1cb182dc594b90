"""Explains the speed of a case in two passes.

`suspicions` names what the observations point at, and the change that would confirm it; the caller measures those
changes; `conclude` keeps what holds.
"""
