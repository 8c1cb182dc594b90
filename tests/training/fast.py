"""The profile of tests that train with MindSpore and test something other than the profile."""

from __future__ import annotations

from lenet.cases.case import RuntimeProfile

FAST = RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking")
"""The cap of oneDNN to AVX2 makes MindSpore 2.10 6 to 20 times faster on AVX-512; without AVX2 it changes nothing."""
