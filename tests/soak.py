"""The soak: a run begun again and again with random faults planted; nothing may be lost, nothing may grow.

    python tests/soak.py --rounds 100 --seed 1                  # a fake worker, done in a blink; a few minutes
    python tests/soak.py --rounds 20 --real-every 5             # every 5th round trains with the real MindSpore
    python tests/soak.py --rounds 100 --real-every 1 --matrix quick   # the whole quick matrix each time: hours

Most rounds use `fake_worker.py`, because what is tried is what the parent does with faults; a real round is the real
command, killed at a random moment and gone on with. Rounds "within" run the engine in this process, whose memory and
open files are watched. Exit code 0 when every round held and neither grew.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
CASES = 6
FAULTS = "none,none,none,SIGKILL,SIGSEGV,SIGABRT,exit,garbage,torn,children,noise"
MEMORY_GROWTH_BYTES = 16 * 2**20
HANDLES_GROWTH = 2
"""A pipe of the last worker may be about to be closed; a leak would be one a case."""
TINY = """
modes = ["graph"]
datasets = ["digits"]
repeat = 2
[plan]
window_steps = 2
window_seconds = 0
windows = 3
resident_windows = 0
evaluation_images = 32
"""


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checks, drive = load("checks"), load("drive")


@dataclass
class Tally:
    """What one kind of round did."""

    rounds: int = 0
    planted: int = 0
    records: int = 0
    statuses: Counter = field(default_factory=Counter)


class Soak:
    """Rounds over one folder, each a run of its own that is thrown away when it held."""

    def __init__(self, folder: Path, chance: random.Random, matrix: str | None) -> None:
        self.folder, self.chance, self.matrix = folder, chance, matrix

    def parent(self, run: Path, **options) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "FAKE_FAULTS": FAULTS, "DRIVE_SILENCE": "20"}
        command = [sys.executable, str(HERE / "drive.py"), str(run), str(CASES)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, **options)

    def finish(self, run: Path) -> None:
        assert self.parent(run).wait(timeout=300) == 0, "going on failed"

    def kill_while(self, run: Path, process: subprocess.Popen, more: int) -> bool:
        """Kill the parent a moment after `more` further records; whether it still ran."""
        target = len(checks.snapshot(run)) + more
        while process.poll() is None and len(list(run.glob("records/*.json"))) < target:
            time.sleep(0.002)
        time.sleep(self.chance.uniform(0, 0.1))
        ran = process.poll() is None
        process.send_signal(self.chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
        process.wait(timeout=60)
        return ran

    def worker_faults(self, run: Path) -> int:
        os.environ["FAKE_FAULTS"] = FAULTS
        with redirect_stderr(StringIO()):
            drive.drive(run, CASES)
        return CASES

    def parent_killed(self, run: Path) -> int:
        planted = 0
        for _ in range(3):
            before = checks.snapshot(run)
            planted += self.kill_while(run, self.parent(run), self.chance.choice((0, 1, 2)))
            checks.nothing_lost(before, run)
        before = checks.snapshot(run)
        self.finish(run)
        checks.nothing_lost(before, run)
        return planted

    def log_torn(self, run: Path) -> int:
        self.kill_while(run, self.parent(run), 2)
        before, log = checks.snapshot(run), run / "events.jsonl"
        if log.exists():
            lines = log.read_bytes().splitlines(keepends=True)
            with log.open("ab") as file:
                file.write(lines[-1][: self.chance.randrange(1, len(lines[-1]))])
        self.finish(run)
        checks.nothing_lost(before, run)
        return 1

    def disk_full(self, run: Path) -> int:
        """Every file ends at a size, as on a full disk: the same writes fail in the same places."""
        size = self.chance.randrange(5_000, 12_000)
        full = self.parent(run, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
        code = full.wait(timeout=300)
        before = checks.snapshot(run)
        self.finish(run)
        checks.nothing_lost(before, run)
        return int(code != 0)

    def two_at_once(self, run: Path) -> int:
        codes = sorted(each.wait(timeout=300) for each in [self.parent(run), self.parent(run)])
        assert codes in ([0, 2], [0, 0]), codes  # [0, 0]: the second came when the first was done
        self.finish(run)
        return int(codes == [0, 2])

    def real(self, run: Path) -> int:
        (self.folder / "tiny.toml").write_text(TINY)
        matrix = ["--preset", self.matrix, "--dataset", "digits"] if self.matrix else ["--matrix", "tiny.toml"]
        command = [sys.executable, "-m", "lenet.cli", "run"]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        quiet = {"cwd": self.folder, "env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        first = subprocess.Popen([*command, *matrix, "--output", str(run)], **quiet)
        ran = self.kill_while(run, first, self.chance.choice((0, 1)))
        before = checks.snapshot(run)
        again = ["--resume", str(run)] if (run / "manifest.json").exists() else [*matrix, "--output", str(run)]
        assert subprocess.run([*command, *again], **quiet, timeout=3600, check=False).returncode == 0
        checks.nothing_lost(before, run)
        assert not (run / "superseded").exists(), "what was fresh was measured again"
        return int(ran)


def main() -> int:
    """Soak, and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real-every", type=int, default=0, help="every k-th round with the real MindSpore; 0: none")
    parser.add_argument("--matrix", help="a preset for the real rounds; default: two tiny cases")
    options = parser.parse_args()
    chance, tallies, held = random.Random(options.seed), defaultdict(Tally), True
    memory, handles, own, began = [], [], psutil.Process(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        os.environ["LENET_BENCH_LOCKS"] = folder
        soak = Soak(Path(folder), chance, options.matrix)
        kinds = ("worker_faults", "parent_killed", "log_torn", "disk_full", "two_at_once")
        for number in range(options.rounds):
            # Every other round within this process, so that there is a curve to look at.
            kind = kinds[0] if number % 2 == 0 else chance.choice(kinds[1:])
            if options.real_every and number % options.real_every == options.real_every - 1:
                kind = "real"
            run, tally = Path(folder) / f"run-{number}", tallies[kind]
            tally.rounds += 1
            try:
                tally.planted += getattr(soak, kind)(run)
                records = checks.whole(run)
            except Exception as error:
                held = False
                kept = shutil.copytree(run, Path(tempfile.mkdtemp(prefix="soak-failed-")) / "run")
                print(f"round {number} ({kind}) did NOT hold: {error!r}; the run is kept in {kept}", flush=True)
                continue
            tally.records += len(records)
            tally.statuses.update(record.status.value for record in records)
            shutil.rmtree(run)
            memory.append(own.memory_info().rss)
            handles.append(own.num_fds())
            print(f"\r{number + 1} of {options.rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print("| round | rounds | faults planted | records | by status |\n| --- | ---: | ---: | ---: | --- |")
    for kind, tally in sorted(tallies.items()):
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(tally.statuses.items()))
        print(f"| {kind.replace('_', ' ')} | {tally.rounds} | {tally.planted} | {tally.records} | {statuses} |")
    settled = len(memory) // 5  # imports and caches fill in the first rounds
    grown = memory[-1] - memory[settled] if memory else 0
    flat = grown < MEMORY_GROWTH_BYTES and max(handles[settled:]) - min(handles[settled:]) <= HANDLES_GROWTH
    print(f"\nmemory of this process after round {settled + 1}: {memory[settled] / 2**20:.1f} MiB, "
          f"at the end {memory[-1] / 2**20:.1f} MiB; open files {min(handles[settled:])} to {max(handles[settled:])}: "
          f"{'flat' if flat else 'NOT FLAT'}")  # fmt: skip
    print(f"{options.rounds} rounds in {time.monotonic() - began:.0f} s, seed {options.seed}: "
          f"{'nothing lost' if held else 'NOT HELD'}")  # fmt: skip
    return 0 if held and flat else 1


if __name__ == "__main__":
    raise SystemExit(main())
