"""A hundred honest trainings with the real command, each verified: none may be called another training.

    python tests/honest_runs.py FOLDER [--minutes 60] [--mnist DATA] [--releases]

It prints a table and exits 1 after a false alarm. What FOLDER holds already is not trained again: started another time,
it goes on where the time was over. MNIST is trained where its folder is given, earlier releases with --releases.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

MODES = 'modes = ["pynative", "graph", "jit", "model"]\n'
TORCH = 'frameworks = ["pytorch"]\nmodes = ["eager", "compile"]\n'
BATCHES = "batch_sizes = [1, 7, 32, 64, 128, 256]\n"
PROFILES = 'profiles = ["onednn_isa=AVX2+launch_blocking", "operator_threads=1+dispatch_threads=1"]\n'
PLAN = """
[plan]
warmup_steps = {warmup}
window_steps = 4
window_seconds = 0
windows = 2
resident_windows = 0
evaluation_images = 256
"""
SHORT, LONG = PLAN.format(warmup=16), PLAN.format(warmup=92)
"""24 and 100 steps, which are recomputed to their end. Of a large batch each step takes seconds as installed."""

MATRICES = {
    "mindspore": MODES + BATCHES + SHORT,
    "pytorch": TORCH + BATCHES + SHORT,
    "profiles": MODES + "batch_sizes = [32]\n" + PROFILES + LONG,
    "seeds": 'modes = ["graph"]\nbatch_sizes = [32]\nseeds = [2, 3, 4, 5, 6, 7, 8, 9, 10, 4294967295]\n' + LONG,
    "fast": 'modes = ["graph"]\nbatch_sizes = [7, 32]\nlearning_rate = 0.05\n' + LONG,
    "strong": 'modes = ["pynative", "graph"]\nbatch_sizes = [32, 64]\nworld_sizes = [2]\n' + SHORT,
    "weak": 'modes = ["pynative", "graph"]\nbatch_sizes = [32]\nworld_sizes = [2]\nscalings = ["weak"]\n' + SHORT,
}
RELEASES = 'modes = ["pynative", "graph", "jit"]\nbatch_sizes = [32]\nversions = ["2.7.0", "2.8.0", "2.9.0"]\n' + SHORT
ON_MNIST = ("mindspore", "pytorch", "strong")


def command(arguments, ends):
    """The output and messages of `lenet-bench`. It is interrupted when the time is over, which a run survives: None."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lenet.cli", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        return process.communicate(timeout=max(1.0, ends - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.communicate()
        return None


def verified(folder, name, text, data, ends):
    """The results of one matrix's cases, by case; None if the time was over."""
    run = folder / name
    if (found := folder / f"{name}.json").exists():
        return json.loads(found.read_text(encoding="utf-8"))
    if (run / "manifest.json").exists():
        start = ["run", "--resume", run]
    else:
        dataset = "mnist" if data else "digits"
        matrix = folder / f"{name}.toml"
        matrix.write_text(f'datasets = ["{dataset}"]\n{text}', encoding="utf-8")
        start = ["run", "--matrix", matrix, "--output", run]
    where = ["--data-dir", data] if data else []
    ended = command([*start, *where, "--interleave", "rounds", "--quiet"], ends)
    if ended is None:
        return None
    if not (run / "manifest.json").exists():
        raise SystemExit(f"{name}: {ended[1]}")
    ended = command(["verify", run, *where, "--format", "json"], ends)
    if ended is None:
        return None
    (result,) = json.loads(ended[0])
    others = [each["message"] for each in result["violations"] if each["rule"] != "training"]
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (run / "records").iterdir()}
    cases = {
        case_id: {"status": record["status"], "steps": 0, "reason": record["reason"]}
        if record["status"] != "ok" or case_id not in result["trainings"]
        else result["trainings"][case_id]
        for case_id, record in records.items()
    }
    found.write_text(json.dumps({"cases": cases, "others": others}, indent=1), encoding="utf-8")
    return {"cases": cases, "others": others}


def main() -> int:
    """Entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--releases", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + 60 * options.minutes
    wanted = [(name, text, None) for name, text in MATRICES.items()]
    if options.mnist is not None:
        wanted += [(f"{name}-mnist", MATRICES[name], options.mnist.resolve()) for name in ON_MNIST]
    if options.releases:
        wanted.append(("releases", RELEASES, None))
    counts: dict[str, dict[str, int]] = {}
    failed = False
    for name, text, data in wanted:
        results = verified(options.folder, name, text, data, ends)
        if results is None:
            print(f"{name}: the time is over; start it again to go on")
            break
        for case_id, each in results["cases"].items():
            of_kind = counts.setdefault(name, {})
            of_kind[each["status"]] = of_kind.get(each["status"], 0) + 1
            print(f"{name:<16} {case_id:<40} {each['status']:<17} {each['steps']:>4}  {each['reason'][:160]}")
        for message in results["others"]:
            print(f"{name:<16} {message}")
        failed |= any(each["status"] == "another training" for each in results["cases"].values())
    for name, of_kind in counts.items():
        print(f"{name:<16} {', '.join(f'{number} {status}' for status, number in of_kind.items())}")
    every = sum(sum(of_kind.values()) for of_kind in counts.values())
    print(f"{sum(of_kind.get('proved', 0) for of_kind in counts.values())} of {every} proved")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
