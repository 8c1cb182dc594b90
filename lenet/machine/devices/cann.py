"""CANN for MindSpore's Ascend plugin: finding its set_env.sh, and applying the variables that this sets.

Not tested on an Ascend machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lenet.errors import UsageError
from lenet.machine.programs import ProgramError, printed

USUAL_PLACES = ("/usr/local/Ascend/ascend-toolkit/set_env.sh", "/usr/local/Ascend/cann/set_env.sh")
"""The default folders of CANN's installers, before and since CANN 8.5."""

HOMES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "ASCEND_OPP_PATH")
"""Variables of set_env.sh that name folders of CANN."""

SOURCE_SECONDS = 30


def python_folders(environment: Mapping[str, str]) -> list[str]:
    """Those entries of PYTHONPATH that hold CANN's own Python packages, which every release of MindSpore needs."""
    homes = [environment[name] for name in HOMES if environment.get(name)]
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    return [each for each in entries if any(Path(each).is_relative_to(home) for home in homes)]


def source(script: Path) -> dict[str, str]:
    """Return the variables that `script` (CANN's set_env.sh) sets or changes when bash sources it.

    This runs the script, as `source` on the user's command line would.

    Raises:
        UsageError: there is no such file, or sourcing it fails or takes too long.
    """
    if not script.is_file():
        raise UsageError(f"--cann {script}: there is no such file; name CANN's set_env.sh")
    command = ("bash", "-c", 'source "$1" >/dev/null 2>&1; code=$?; env -0; exit $code', "bash", str(script))
    try:
        answer = printed(*command, seconds=SOURCE_SECONDS)
    except ProgramError as error:
        raise UsageError(f"--cann {script}: it could not be sourced: {error}") from error
    if answer.code != 0:
        raise UsageError(f"--cann {script}: bash could not source it (exit code {answer.code})")
    pairs = (line.decode(errors="surrogateescape").partition("=") for line in answer.stdout.split(b"\0") if line)
    variables = {name: value for name, _, value in pairs if name not in ("_", "SHLVL", "PWD", "OLDPWD")}
    changed = {name: value for name, value in variables.items() if os.environ.get(name) != value}
    if not (changed.get("ASCEND_HOME_PATH") or os.environ.get("ASCEND_HOME_PATH")):
        raise UsageError(f"--cann {script}: it does not set ASCEND_HOME_PATH, so it is not CANN's set_env.sh")
    return changed
