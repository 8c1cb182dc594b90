"""Any words on the command line: an exit code of the documented ones and never a traceback.

Commands, options and their kinds are those of the command itself, and the values of an axis are those of the axis
table. No process is started and no network asked: what would measure writes records at once, or fails.
`LENET_BENCH_FUZZ=10000` tries that many command lines instead of 200.
"""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path

import pytest
import typer.main
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from lenet.cases.axes import with_option
from lenet.cli import app
from lenet.errors import BAD_INPUT, FAILED, INTERRUPTED

EXAMPLES = int(os.environ.get("LENET_BENCH_FUZZ", "200"))
CODES = (0, FAILED, BAD_INPUT, INTERRUPTED)
HOSTILE = (
    *("", " ", ",", "=", "+", "%", "-", "--", "..", "a,b", "A=B", "a=1,2", "x" * 300, "\x1b[31m\n", "\udcff", "\u0663"),
    *("<script>", "[bold]", "{0}", "%s", "$(true)", "`true`", "../../x", "\N{GRINNING FACE}", "\u202e", "None", "true"),
)
NUMBERS = (
    *("0", "1", "2", "-1", "7", "32", "4096", "100000", "1e9", "1e300", "1e-300", "1e999", "-0.0", "0.5", "5%", "100%"),
    *("nan", "inf", "-inf", str(2**31), str(2**63), str(2**64), "9" * 400, "1_000", " 3 ", "0x10", "1,2", "1,1", "2,1"),
)
PATHS = (
    *("run", "run/records", "run/manifest.json", "damaged", "all", "nowhere", "file", "link", "ring", "data", "m.toml"),
    *("", ".", "..", "/proc", "/dev/null", "/dev/full", "/proc/self/mem", "new", "new.html", "new.md", "file/x"),
    *("x" * 300, "\udcff", "-", "~", "https://nowhere.invalid/r.json", "http://x", "file:///etc/passwd", "read-only/x"),
)  # fmt: skip
COMMANDS = typer.main.get_group(app).commands
EVERY = [(name, each) for name, command in COMMANDS.items() for each in command.params if each.name != "help"]
"""Every option and argument, with its command: each is the subject of as many command lines as any other."""
AXES = {axis.parameter: axis for axis in with_option()}
PRINTS_TEXT = {"--make-reference", "--help", "--version"}
"""Options whose output is for people, whatever `--format` says."""


def words_of(text):
    """The words of a help text, which name most values that an option takes."""
    return [word.strip(".,;:()") for word in re.split(r"[\s|,]+", text or "") if word.strip(".,;:()")]


@functools.cache  # a strategy is validated once
def values(parameter, run):
    """Strategy of the words that follow an option, or of an argument: usual ones three times in four."""
    described = getattr(parameter, "type_descriptor", None)  # of Typer 0.29; it was Click's `type` before
    kind = str(described.annotation) if described is not None else type(parameter.type).__name__
    records = sorted((run / "records").iterdir())
    numbers, hostile = st.sampled_from(NUMBERS), st.sampled_from(HOSTILE)
    if "Path" in kind:
        usual = ["run", "run", "all", "new", "m.toml", f"run/records/{records[0].name}"]
        return st.sampled_from(usual) | st.sampled_from(usual) | st.sampled_from(PATHS) | hostile
    if "int" in kind.lower() or "float" in kind.lower():
        usual = st.integers(1, 1000).map(str) | st.floats(0.1, 1000).map(repr)
        return usual | usual | numbers | st.integers().map(str) | st.floats().map(repr) | hostile
    if (axis := AXES.get(parameter.name)) is not None:
        known = [str(each.value).lower() for each in axis.values or ()] or [*axis.examples, "1", "2"]
    else:
        known = words_of(f"{getattr(parameter, 'help', '')} {parameter.metavar or ''}")
        known += ["mode=graph", "mode=graph,jit", "run", "5%", *(path.stem for path in records)]
    usual = st.sampled_from([*known, str(parameter.default or "default")])
    several = st.lists(usual, min_size=1, max_size=3).map(",".join)
    return usual | usual | usual | several | numbers | hostile | st.text(max_size=6)


@st.composite
def lines(draw, run):
    """A command line about one of its options or arguments. Few others, or a first error would hide the rest."""
    name, subject = draw(st.sampled_from(EVERY))
    line = [name]
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            most = 3 if parameter.nargs == -1 else 1
            usual = st.sampled_from(["run", "run", "run", "all"])
            least = 1 if parameter is subject else draw(st.integers(0, 1))
            line += draw(st.lists(usual | values(parameter, run), min_size=least, max_size=most))
            continue
        if parameter.name == "help" or (parameter is not subject and draw(st.integers(0, 9)) != 0):
            continue
        option = draw(st.sampled_from([*parameter.opts, *parameter.secondary_opts]))
        if getattr(parameter, "is_flag", False):
            line.append(option)
            continue
        value = draw(values(parameter, run))
        line += [f"{option}={value}"] if option.startswith("--") and draw(st.booleans()) else [option, value]
    if draw(st.integers(0, 9)) == 0:
        line.insert(
            draw(st.integers(0, len(line))), draw(st.sampled_from([*HOSTILE, "--help", "--version", "-o", "-h"]))
        )
    return [word.replace("\0", "") for word in line]


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True,
)  # fmt: skip
@given(data=st.data())
@pytest.mark.timeout(3600)
def test_any_command_line_ends_with_a_documented_exit_code(world, honest_run, data):
    line = data.draw(lines(honest_run))
    code, out, err = world(line)
    note(f"{line} -> {code}\n{err}")
    assert code in CODES
    assert "Traceback" not in out + err
    if code == BAD_INPUT:
        assert re.search(r"^lenet-bench: error: .+$", err, re.MULTILINE)
    elif code != INTERRUPTED and out and re.search("--format[ =]json( |$)", " ".join(line)):
        assert PRINTS_TEXT & set(line) or json.loads(out) is not None


def test_the_measurement_of_the_fuzz_reaches_results(world):
    assert Path("/dev/full").exists()
    code, out, _ = world(["run", "--matrix", "m.toml", "-o", "new", "--quiet"])
    assert (code, out.count("graph")) == (0, 1)
    assert world(["run", "--dataset", "digits", "--repeat", "20"])[0] == INTERRUPTED


def test_a_command_line_finds_the_same_world_whatever_the_one_before_did(world):
    shown = world(["table", "run"])
    assert shown[0] == 0
    assert world(["merge", "run", "-o", "new"])[0] == 0
    assert world(["table", "new"])[0] == BAD_INPUT
    assert world(["table", "run", "-o", "run/manifest.json"])[0] == 0
    assert world(["table", "run"]) == shown
