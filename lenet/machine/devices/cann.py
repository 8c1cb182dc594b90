"""CANN for MindSpore's Ascend plugin: what is set up, which version it is, and taking its set_env.sh over.

Read and never run on an Ascend machine so far.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lenet.errors import UsageError

USUAL_PLACES = ("/usr/local/Ascend/ascend-toolkit/set_env.sh", "/usr/local/Ascend/cann/set_env.sh")
"""Where CANN's installers put it; CANN 8.5 changed the folders."""

SOURCE_SECONDS = 30
VERSION_FILES = ("compiler/version.info", "version.info", "version.cfg", "ascend_toolkit_install.info")


def version(environment: Mapping[str, str]) -> str | None:
    """The version of the CANN that `ASCEND_HOME_PATH` names, as its own files tell it; None where they do not."""
    home = environment.get("ASCEND_HOME_PATH")
    if not home:
        return None
    for name in VERSION_FILES:
        try:
            text = (Path(home) / name).read_text(encoding="utf-8", errors="replace")[:4096]
        except OSError:
            continue
        # `Version=8.5.0`, `version=8.2.RC1`, `runtime_running_version=[8.2.0.1.220:8.2.RC1]`
        if found := re.search(r"(?im)^\s*\w*version\s*=\s*\[?(?:[^:\]\s]*:)?(\d+\.\d+[\w.]*)", text):
            return found[1]
    return None


def usual_script() -> str | None:
    """The set_env.sh at a usual place, if there is one."""
    return next((place for place in USUAL_PLACES if Path(place).is_file()), None)


def source(script: Path) -> dict[str, str]:
    """The variables that `script` (CANN's set_env.sh) sets or changes, as a shell that sources it sees them.

    The script is the user's own and is run by their shell, as `source` on their command line would.

    Raises:
        UsageError: there is no such file, or sourcing it fails or takes too long.
    """
    if not script.is_file():
        raise UsageError(f"--cann {script}: there is no such file; name CANN's set_env.sh")
    command = ["bash", "-c", 'source "$1" >/dev/null 2>&1; code=$?; env -0; exit $code', "bash", str(script)]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=SOURCE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--cann {script}: it could not be sourced by bash within {SOURCE_SECONDS} s") from error
    if answer.returncode != 0:
        raise UsageError(f"--cann {script}: bash could not source it (exit code {answer.returncode})")
    pairs = (line.decode(errors="surrogateescape").partition("=") for line in answer.stdout.split(b"\0") if line)
    variables = {name: value for name, _, value in pairs if name not in ("_", "SHLVL", "PWD", "OLDPWD")}
    changed = {name: value for name, value in variables.items() if os.environ.get(name) != value}
    if not (changed.get("ASCEND_HOME_PATH") or os.environ.get("ASCEND_HOME_PATH")):
        raise UsageError(f"--cann {script}: it does not set ASCEND_HOME_PATH, so it is not CANN's set_env.sh")
    return changed
