"""Tests that need a framework which the package does not install."""

from __future__ import annotations

import pytest

from lenet.cases.frameworks import Framework
from lenet.machine.installed import framework_version

NEEDS_PYTORCH = pytest.mark.skipif(
    framework_version(Framework.PYTORCH) is None, reason="PyTorch is not installed (lenet-bench[torch])"
)

FRAMEWORKS = [
    pytest.param(each, marks=[NEEDS_PYTORCH] if each is Framework.PYTORCH else [], id=each.value) for each in Framework
]
"""Values of a parameter: every framework, those that are not installed skipped."""
