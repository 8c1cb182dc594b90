"""The soak: a run begun again and again with random beside worker faults; nothing may be lost, nothing may grow.

    python tests/soak.py --rounds 100 --seed 1            # a fake worker, done in a blink; a few minutes
    python tests/soak.py --rounds 100 --worker real       # MindSpore trains the quick matrix each time; an hour or two

Every round is six cases of digits: of the fake worker, or the quick matrix's modes and batch sizes trained by the
real one over a few steps. In every round workers die, hang, or write what is none of ours, at random moments. Beside
that the parent is killed, the log is torn, the disk is full, or two parents want the same run. Then the run is gone on
with: what was there must be there still and, with the real worker, once no more faults are planted, every case must end
well. Rounds of worker faults alone run the engine in this process, whose memory and open files are watched. Exit code 0
when every round held and neither grew.
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
"""More than MindSpore's import takes on a machine that is busy with a second soak."""

DISK_BYTES = {"fake": (5_000, 12_000), "real": (4_000, 60_000)}
"""Where every file ends in a round with a full disk, so that some writes succeed and some do not."""

MEMORY_GROWTH_BYTES = 16 * 2**20
HANDLES_GROWTH = 2
"""A pipe of the last worker may be about to be closed; a leak would be one a case."""


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

    def __init__(self, chance: random.Random, worker: str) -> None:
        self.chance, self.worker = chance, worker
        self.faults = FAKE_FAULTS if worker == "fake" else REAL_FAULTS
        os.environ.update(DRIVE_WORKER=worker, DRIVE_SILENCE=str(SILENCE_SECONDS), PYTHONPATH=str(HERE.parent))

    def parent(self, run: Path, *arguments, faults=None, **options) -> subprocess.Popen:
        """The whole parent process; each of its workers draws one of the faults."""
        command = [sys.executable, str(HERE / "drive.py"), str(run), str(CASES), *arguments]
        environment = {**os.environ, "FAKE_FAULTS": faults or self.faults}
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, **options)

    def finish(self, run: Path) -> None:
        """Go on to the end."""
        assert self.parent(run).wait(timeout=900) == 0, "going on failed"

    def mend(self, run: Path) -> None:
        """Do again what failed, without faults: all must end well. The fake worker's records are never fresh."""
        if self.worker == "real":
            before = checks.snapshot(run)
            assert self.parent(run, "--retry-failed", faults="none").wait(timeout=900) == 0, "trying again failed"
            checks.nothing_lost(before, run)
            checks.whole(run, Status.OK)

    def kill_while(self, run: Path, process: subprocess.Popen, more: int) -> bool:
        """Kill the parent a moment after `more` further records; whether it still ran."""
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
        """Every file ends at a size, as on a full disk: the same writes fail in the same places."""
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
    """Soak, and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", choices=("fake", "real"), default="fake", help="real: MindSpore trains")
    options = parser.parse_args()
    chance, tallies, held = random.Random(options.seed), defaultdict(Tally), True
    memory, handles, own, began = [], [], psutil.Process(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        os.environ["LENET_BENCH_LOCKS"] = folder
        soak = Soak(chance, options.worker)
        kinds = ("worker_faults", "parent_killed", "log_torn", "disk_full", "two_at_once")
        for number in range(options.rounds):
            # Every other round within this process, so that there is a curve to look at.
            kind = kinds[0] if number % 2 == 0 else chance.choice(kinds[1:])
            run, tally = Path(folder) / f"run-{number}", tallies[kind]
            tally.rounds += 1
            os.environ["FAKE_SEED"] = f"{options.seed}-{number}"
            try:
                tally.planted += getattr(soak, kind)(run)
                records = checks.whole(run)
                soak.mend(run)
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
    print("| round | rounds | beside worker faults | records | by status |\n| --- | ---: | ---: | ---: | --- |")
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
