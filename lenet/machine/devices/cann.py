"""CANN for MindSpore's Ascend plugin: finding its set_env.sh, and applying the variables that this sets.

Not tested on an Ascend machine.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lenet.errors import UsageError

USUAL_PLACES = ("/usr/local/Ascend/ascend-toolkit/set_env.sh", "/usr/local/Ascend/cann/set_env.sh")
"""The default folders of CANN's installers, before and since CANN 8.5."""

SOURCE_SECONDS = 30


def usual_script() -> str | None:
    """Return the path of set_env.sh in a default folder; None without one."""
    return next((place for place in USUAL_PLACES if Path(place).is_file()), None)


def source(script: Path) -> dict[str, str]:
    """Return the variables that `script` (CANN's set_env.sh) sets or changes when bash sources it.

    This runs the script, as `source` on the user's command line would.

    Raises:
        UsageError: there is no such file, or sourcing it fails or takes too long.
    """
    if not script.is_file():
        raise UsageError(f"--cann {script}: there is no such file; name CANN's set_env.sh")
    command = ["bash", "-c", 'source "$1" >/dev/null 2>&1; code=$?; env -0; exit $code', "bash", str(script)]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=SOURCE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--cann {script}: bash could not source it within {SOURCE_SECONDS} s") from error
    if answer.returncode != 0:
        raise UsageError(f"--cann {script}: bash could not source it (exit code {answer.returncode})")
    pairs = (line.decode(errors="surrogateescape").partition("=") for line in answer.stdout.split(b"\0") if line)
    variables = {name: value for name, _, value in pairs if name not in ("_", "SHLVL", "PWD", "OLDPWD")}
    changed = {name: value for name, value in variables.items() if os.environ.get(name) != value}
    if not (changed.get("ASCEND_HOME_PATH") or os.environ.get("ASCEND_HOME_PATH")):
        raise UsageError(f"--cann {script}: it does not set ASCEND_HOME_PATH, so it is not CANN's set_env.sh")
    return changed
