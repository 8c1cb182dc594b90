"""Explains the speed of a case.

`suspicions` names what the observations point at, and the change that would confirm it. `search` says which changes the
caller measures, alone and together, and which it keeps. `conclude` keeps the findings that hold; `account` and `gap`
say what a step consists of, and what separates it from PyTorch and from the limit.
"""
