"""Soak test: runs with random faults of workers and of their surroundings; nothing may be lost, nothing may grow.

    python tests/soak.py --rounds 100 --seed 1            # with a fake worker; a few minutes
    python tests/soak.py --rounds 100 --worker real       # trains the quick matrix with MindSpore; an hour or two
    python tests/soak.py --interleave windows             # the cases of a round are alive together and take turns

A round is six cases on the digits: of the fake worker, or of the quick matrix over a few steps. In every round workers
die, hang or print something else at random moments; in addition the parent is killed, the log is truncated, the disk
is full, or two parents open the same run. Then the run is resumed: all earlier records must still be there, no process
of the round may be left and, with the real worker, every case must end well without further faults. Rounds with faults
of workers alone run the engine in this process, whose memory and open files are measured. Exit code 0 if all checks of
all rounds passed and neither grew.
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

from lenet.store.record import Status

HERE = Path(__file__).resolve().parent
CASES = 6
FAKE_FAULTS = "none,none,none,SIGKILL,SIGSEGV,SIGABRT,exit,garbage,torn,children,noise"
REAL_FAULTS = f"{FAKE_FAULTS},{FAKE_FAULTS},stopped"  # a stopped one costs the whole silence limit
SILENCE_SECONDS = 25
"""More than the import of MindSpore takes on a busy machine."""

DISK_BYTES = {"fake": (5_000, 12_000), "real": (4_000, 60_000)}
"""Largest size of a file in a round with a full disk, so that some writes succeed and some do not."""

MEMORY_GROWTH_BYTES = 16 * 2**20
LEFT_SECONDS = 20
"""How long processes of a round may take to end after it."""
HANDLES_GROWTH = 2
"""A pipe of the last worker may still be open; a leak would be one per case."""


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checks, drive = load("checks"), load("drive")


def of_round(process: psutil.Process) -> bool:
    """Whether the process was started in this round."""
    try:
        return process.environ().get("FAKE_SEED") == os.environ["FAKE_SEED"]
    except psutil.Error:
        return False


@dataclass
class Tally:
    """Statistics of one kind of round."""

    rounds: int = 0
    planted: int = 0
    records: int = 0
    statuses: Counter = field(default_factory=Counter)


class Soak:
    """Rounds over one folder, each with a run of its own that is deleted if all checks passed."""

    def __init__(self, chance: random.Random, worker: str, interleave: str) -> None:
        self.chance, self.worker = chance, worker
        self.faults = FAKE_FAULTS if worker == "fake" else REAL_FAULTS
        os.environ.update(DRIVE_WORKER=worker, DRIVE_SILENCE=str(SILENCE_SECONDS), PYTHONPATH=str(HERE.parent))
        os.environ["DRIVE_INTERLEAVE"] = interleave

    def parent(self, run: Path, *arguments, faults=None, **options) -> subprocess.Popen:
        """A whole parent process; each of its workers draws one of the faults."""
        command = [sys.executable, str(HERE / "drive.py"), str(run), str(CASES), *arguments]
        environment = {**os.environ, "FAKE_FAULTS": faults or self.faults}
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, **options)

    def finish(self, run: Path) -> None:
        """Resume the run to its end."""
        assert self.parent(run).wait(timeout=900) == 0, "resuming failed"

    def retry(self, run: Path) -> None:
        """Retry the failed cases without faults: all must end well. Records of the fake worker are never fresh."""
        if self.worker == "real":
            before = checks.snapshot(run)
            assert self.parent(run, "--retry-failed", faults="none").wait(timeout=900) == 0, "retrying failed"
            checks.nothing_lost(before, run)
            checks.whole(run, Status.OK)

    def none_left(self, orphans: bool) -> None:
        """No process of the round is left, which are those that inherited its seed.

        `orphans`: the parent was killed, and nobody is left to end the children that a dead worker leaves.
        """
        deadline = time.monotonic() + LEFT_SECONDS
        while left := [
            process
            for process in psutil.process_iter()
            if process.pid != os.getpid() and of_round(process) and not (orphans and process.name() == "sleep")
        ]:
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(0.1)

    def kill_while(self, run: Path, process: subprocess.Popen, more: int) -> bool:
        """Kill the parent shortly after `more` further records; return whether it was still running."""
        target = len(checks.snapshot(run)) + more
        while process.poll() is None and len(list(run.glob("records/*.json"))) < target:
            time.sleep(0.002)
        time.sleep(self.chance.uniform(0, 0.1 if self.worker == "fake" else 5))
        ran = process.poll() is None
        process.send_signal(self.chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
        process.wait(timeout=60)
        return ran

    def worker_faults(self, run: Path) -> int:
        os.environ["FAKE_FAULTS"] = self.faults
        with redirect_stderr(StringIO()):
            drive.drive(run, CASES)
        return 0

    def parent_killed(self, run: Path) -> int:
        planted = 0
        for _ in range(3 if self.worker == "fake" else 2):
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
        torn = log.exists() and log.stat().st_size > 0
        if torn:
            last = log.read_bytes().splitlines(keepends=True)[-1]
            with log.open("ab") as file:
                file.write(last[: self.chance.randrange(1, len(last))])
        self.finish(run)
        checks.nothing_lost(before, run)
        return 1 + torn

    def disk_full(self, run: Path) -> int:
        """A limit on the size of files, like a full disk: the same writes fail in the same places."""
        size = self.chance.randrange(*DISK_BYTES[self.worker])
        full = self.parent(run, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
        code = full.wait(timeout=900)
        before = checks.snapshot(run)
        self.finish(run)
        checks.nothing_lost(before, run)
        return int(code != 0)

    def two_at_once(self, run: Path) -> int:
        codes = sorted(each.wait(timeout=900) for each in [self.parent(run), self.parent(run)])
        assert codes in ([0, 2], [0, 0]), codes  # [0, 0]: the second came when the first was done
        self.finish(run)
        return int(codes == [0, 2])


def main() -> int:
    """Run the rounds and print the statistics."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", choices=("fake", "real"), default="fake", help="real: MindSpore trains")
    parser.add_argument("--interleave", choices=("rounds", "windows"), default="rounds")
    options = parser.parse_args()
    chance, tallies, passed = random.Random(options.seed), defaultdict(Tally), True
    memory, handles, own, began = [], [], psutil.Process(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        os.environ["LENET_BENCH_LOCKS"] = folder
        soak = Soak(chance, options.worker, options.interleave)
        kinds = ("worker_faults", "parent_killed", "log_torn", "disk_full", "two_at_once")
        for number in range(options.rounds):
            # Every other round in this process, whose memory is measured.
            kind = kinds[0] if number % 2 == 0 else chance.choice(kinds[1:])
            run, tally = Path(folder) / f"run-{number}", tallies[kind]
            tally.rounds += 1
            os.environ["FAKE_SEED"] = f"{options.seed}-{number}"
            try:
                tally.planted += getattr(soak, kind)(run)
                records = checks.whole(run)
                soak.retry(run)
                soak.none_left(orphans=kind in ("parent_killed", "log_torn"))
            except Exception as error:
                passed = False
                kept = shutil.copytree(run, Path(tempfile.mkdtemp(prefix="soak-failed-")) / "run")
                print(f"round {number} ({kind}) FAILED: {error!r}; the run is kept in {kept}", flush=True)
                continue
            tally.records += len(records)
            tally.statuses.update(record.status.value for record in records)
            shutil.rmtree(run)
            memory.append(own.memory_info().rss)
            handles.append(own.num_fds())
            print(f"\r{number + 1} of {options.rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print("| round | rounds | other faults | records | by status |\n| --- | ---: | ---: | ---: | --- |")
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
          f"{'nothing lost' if passed else 'NOT HELD'}")  # fmt: skip
    return 0 if passed and flat else 1


if __name__ == "__main__":
    raise SystemExit(main())
