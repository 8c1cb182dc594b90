"""`lenet-bench run` of cases that differ in their seed alone, with a hook that changes the workers of some seeds.

The seed changes no speed: it draws initial weights and order. The hook is a folder with a `sitecustomize.py`, which
each Python on whose path it is imports as it starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lenet.cases.case import Case, Hyperparameters


def run(
    folder: Path,
    seeds: Iterable[int],
    rounds: int,
    case: Sequence[str],
    ways: Sequence[str],
    matrix: str,
    hook: str,
    variables: Mapping[str, str],
) -> int:
    """Run the cases in a folder that is new or was interrupted; returns the exit code.

    Args:
        folder: of the run; the matrix file is written beside it.
        seeds: a case for each.
        rounds: repetitions of each case.
        case: what all cases share, as options of a run that begins.
        ways: how it is measured, as options of a run that is resumed too.
        matrix: a matrix file's text, with the plan.
        hook: the folder of this directory with the hook.
        variables: what the hook reads.
    """
    command = [sys.executable, "-m", "lenet.cli", "run", *ways]
    if (folder / "manifest.json").exists():
        command += ["--resume", str(folder)]
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = folder.with_name(f"{folder.name}.toml")
        file.write_text(matrix, encoding="utf-8")
        command += ["--matrix", str(file), "--device", "cpu", *case, "--seed", ",".join(map(str, seeds))]
        command += ["--repeat", str(rounds), "--output", str(folder)]
    path = [str(Path(__file__).with_name(hook)), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(path)}
    return subprocess.run(command, stdout=subprocess.DEVNULL, env=environment).returncode


def words(case: Case) -> str:
    """What the cases share, in words."""
    batch = Hyperparameters(batch_size=case.hyperparameters.batch_size)
    return case.first_repetition.model_copy(update={"hyperparameters": batch}).label
