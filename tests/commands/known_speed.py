"""A worker of known speed in the place of the frameworks: `body` sets `rate` and `loss` for its `case`."""

WORKER = """
import json, os, random, sys
fd = int(sys.argv[1])
case = json.loads(sys.stdin.read())["case"]
profile = case["profile"]
def emit(**event):
    os.write(fd, json.dumps(event).encode() + b"\\n")
rate, loss = 500.0, 2.3
{body}
jitter = 1 + 0.001 * random.Random(json.dumps(case)).random()
emit(event="started", initial_weights_sha256="0" * 64,
    software={{"framework_version": "2", "python_version": "3", "numpy_version": "1"}})
for first in range(8):
    emit(event="steps", epoch=1, first_step=first, steps=1, images=32, seconds=32 / rate / jitter, warmup=first < 2,
        losses=[loss - first / 100])
emit(event="evaluated", epoch=0, steps=8, training_seconds=1.0, seconds=0.1, images=32, correct=20, distinct_answers=9)
phases = {{name + "_seconds": 1.0 for name in
    ("import_and_setup", "compile_and_first_step", "training", "evaluation", "resident", "other", "wall")}}
emit(event="finished", phases=phases, final_weights_sha256="1" * 64, losses_sha256="2" * 64, peak_memory_bytes=1)
"""
