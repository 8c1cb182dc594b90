"""The values of the axes."""

from __future__ import annotations

from lenet.cases.axes import axis
from lenet.cases.values import version_order


def test_releases_are_ordered_as_numbers():
    versions = ["2.10.0", "2.7.1.post1", "x", None, "2.9.0", "2.7.1", "2.10.0rc1"]
    right = [None, "2.7.1", "2.7.1.post1", "2.9.0", "2.10.0rc1", "2.10.0", "x"]
    assert sorted(versions, key=version_order) == right
    assert sorted(versions, key=axis("version").rank) == right
