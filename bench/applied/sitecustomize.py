"""Applies levers in the workers of lenet-bench: on PYTHONPATH, each Python imports this as it starts.

LENET_BENCH_LEVERS maps seeds to levers, each an object with `environment` (variables), `calls` (functions with their
arguments) and `script`. A worker with such a seed starts itself anew with the variables, which the dynamic linker and
libraries read before Python runs; it calls the functions where the trainer makes the settings of a profile; with
`script` it runs the exported script of its case in place of its own training (`exported.py`). Workers with other seeds
train as usual. A script has no lead-in of a turn, so beside one the command gives none to the worker either: the
records say so. The seed itself changes no speed: it draws initial weights and order.
"""

import json
import os
import pkgutil
import sys

LEVERS = json.loads(os.environ.get("LENET_BENCH_LEVERS", "{}"))


def _assignment():
    """What the worker gets on its standard input, which is there for the worker afterwards."""
    with open(0, "rb", closefd=False) as stdin:
        content = stdin.read()
    again = os.memfd_create("assignment")
    os.write(again, content)
    os.lseek(again, 0, os.SEEK_SET)
    os.dup2(again, 0)
    os.close(again)
    return json.loads(content)


def _restart_with(variables):
    """Start this process anew with the variables, unless it has them."""
    if any(os.environ.get(name) != value for name, value in variables.items()):
        os.environ.update(variables)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 # the same command


def _call_after_profile(calls):
    """Call the functions where MindSpore's trainer has just made the settings of its profile."""
    from lenet import training

    build = training.build

    def applied(case, dataset):
        from lenet.training import mindspore

        profile_settings = mindspore.apply_profile

        def all_settings(profile):
            profile_settings(profile)
            for name, arguments in calls:
                pkgutil.resolve_name(name)(**arguments)
                print(f"lever: {name}({arguments})", flush=True)

        mindspore.apply_profile = all_settings
        return build(case, dataset)

    training.build = applied


if LEVERS and "lenet.worker" in sys.orig_argv:
    lever = LEVERS.get(str(_assignment()["case"]["hyperparameters"]["seed"]), {})
    _restart_with(lever.get("environment", {}))
    if lever.get("calls"):
        _call_after_profile(lever["calls"])
    if lever.get("script"):
        import exported

        exported.plant()
elif "lenet.cli" in sys.orig_argv and any(lever.get("script") for lever in LEVERS.values()):
    from lenet.engine import turns

    turns.TURN = turns.TURN.model_copy(update={"lead_in_seconds": 0.0, "pace_change": None})
