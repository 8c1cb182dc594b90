"""A worker that trains nothing and is done in a blink: `fake_worker.py FD [TURNS]`, an assignment on standard input.

With TURNS it takes turns as the real worker does: it says that it pauses and waits for a line on that pipe.

All its losses are one number that no other process draws, so that a trace joined from two attempts shows. Its fault is
drawn from `FAKE_FAULTS`, names separated by commas, by `FAKE_SEED` and the case; `FAKE_SECONDS` lies between events.
"""

import ctypes
import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time

STEPS = 4
WARMUP = 2
MEGABYTE = 2**20


def main():
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG, as the real worker: a stopped one ends too
    channel = int(sys.argv[1])
    turns = os.fdopen(int(sys.argv[2]), "rb", buffering=0) if len(sys.argv) > 2 else None
    pause = float(os.environ.get("FAKE_SECONDS", "0.002"))
    chance = random.Random(os.environ.get("FAKE_SEED", "0") + sys.stdin.read())
    fault = chance.choice(os.environ.get("FAKE_FAULTS", "none").split(","))
    at = chance.randrange(STEPS)
    loss = struct.unpack("<f", struct.pack("<f", 1 + random.SystemRandom().random()))[0]

    def emit(event, **fields):
        time.sleep(pause)
        os.write(channel, json.dumps({"event": event, **fields}).encode() + b"\n")

    unknown = {"framework_version": "0", "python_version": "0", "numpy_version": "0"}
    software = json.loads(os.environ.get("FAKE_SOFTWARE", json.dumps(unknown)))
    emit("started", initial_weights_sha256="0" * 64, software=software)
    turn = {}
    for step in range(STEPS):
        if turns is not None and (step == 0 or step >= WARMUP):
            emit("paused", turns_left=STEPS - max(step, WARMUP))
            line = turns.readline()
            if not line:
                raise SystemExit(1)  # the parent has ended
            given = json.loads(line)
            turn = {"cycle": given["cycle"], "turn": given["number"]}
        if step == at:
            go_wrong(fault, channel)
        emit(
            "steps", epoch=1, first_step=step, steps=1, images=32, seconds=0.5, warmup=step < WARMUP, losses=[loss],
            **turn,
        )  # fmt: skip
    emit(
        "evaluated", epoch=0, steps=STEPS, training_seconds=2.0, seconds=0.1, images=512, correct=300,
        distinct_answers=10,
    )  # fmt: skip
    names = ("import_and_setup", "compile_and_first_step", "training", "evaluation", "resident", "other", "wall")
    digest = hashlib.sha256(struct.pack(f"<{STEPS}f", *[loss] * STEPS)).hexdigest()
    emit(
        "finished", phases={f"{name}_seconds": 1.0 for name in names}, final_weights_sha256="1" * 64,
        losses_sha256=digest, peak_memory_bytes=1000,
    )  # fmt: skip


def go_wrong(fault, channel):
    if fault in ("SIGKILL", "SIGSEGV", "SIGABRT"):
        os.kill(os.getpid(), getattr(signal, fault))
    elif fault == "exit":
        os._exit(3)
    elif fault == "silent":
        time.sleep(600)
    elif fault == "garbage":
        os.write(channel, b"\x00\xff{not an event\n")
        time.sleep(600)
    elif fault == "torn":  # half a line, then nothing more of it
        os.write(channel, b'{"event": "steps", "epo')
        os._exit(4)
    elif fault == "children":  # two that outlive it and hold its pipe, one of them in a session of its own
        for alone in (False, True):
            subprocess.Popen(["sleep", "600"], pass_fds=(channel,), start_new_session=alone)
        os._exit(5)
    elif fault == "noise":
        sys.stdout.buffer.write(os.urandom(MEGABYTE))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
