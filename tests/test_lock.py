"""The lock file: what pyproject asks for, exact and with hashes, and no word of where it came from."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12")


@pytest.fixture(scope="module")
def text():
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def locked(text):
    """Name to (version, marker) of each entry; every line is an entry or a hash."""
    found = {}
    entries = [entry for entry in text.replace("\\\n", " ").splitlines() if entry.strip() and not entry.startswith("#")]
    for entry in entries:
        words, *hashes = re.split(r"\s--hash=", entry)
        assert hashes, f"{words} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes)
        requirement = Requirement(words)
        (exact,) = requirement.specifier
        assert exact.operator == "=="
        found.setdefault(canonicalize_name(requirement.name), []).append((exact.version, requirement.marker))
    return found


def asked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(each) for each in (*project["dependencies"], *project["optional-dependencies"]["test"])]


@pytest.mark.parametrize("requirement", asked(), ids=str)
def test_every_requirement_is_locked_for_every_python(locked, requirement):
    for python in PYTHONS:
        here = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux"}
        here |= {"platform_system": "Linux", "platform_machine": "x86_64", "implementation_name": "cpython"}

        def applies(marker: Marker | None, here: dict[str, str] = here) -> bool:
            return marker is None or marker.evaluate(here)

        if not applies(requirement.marker):
            continue
        versions = [
            version for version, marker in locked.get(canonicalize_name(requirement.name), []) if applies(marker)
        ]
        assert len(versions) == 1, f"{requirement} on Python {python}: run `tox -e lock`"
        assert requirement.specifier.contains(versions[0]), f"{requirement}: {versions[0]} is locked; run `tox -e lock`"


def test_no_registry_is_named(text):
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash", ""), re.MULTILINE)
