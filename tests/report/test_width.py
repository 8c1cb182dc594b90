"""Every text report fits 80 columns, whatever the machine, the paths and the records put into it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import pkgutil
import re
import unicodedata
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console

import lenet.report.text
from lenet.analysis.check import LayerDistance, Match, Rung, RungResult, TraceComparison
from lenet.analysis.compare import compare
from lenet.analysis.convergence import Convergence, ConvergenceStatus
from lenet.analysis.explain.account import Part, StepAccount
from lenet.analysis.explain.findings import Explanation, SpeedFinding, SpeedLine
from lenet.analysis.explain.gap import GapLine
from lenet.analysis.explain.observation import Bounds, Observed, Operator, Speed, StepTimes
from lenet.analysis.explain.trials import TriedChange
from lenet.analysis.onednn import Kernel, Library
from lenet.analysis.paired import TimedTurn
from lenet.analysis.published import PublishedResult, PublishedVerdict
from lenet.analysis.reproduce import Claim
from lenet.analysis.reproduce import Verdict as ClaimVerdict
from lenet.analysis.statistics import Interval
from lenet.analysis.tune.candidate import Candidate, Measured, SearchResult, SettingEffect, ratio
from lenet.analysis.tune.fastest import fastest
from lenet.analysis.verify.evidence import Verification
from lenet.cases.case import Case, DeviceTarget, Mode, RuntimeProfile
from lenet.cases.claims import load_publication
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.cli.invocation import Invocation
from lenet.files.leftovers import Leftover
from lenet.machine.devices.doctor import Check, DeviceReport, DoctorReport, Environment
from lenet.report import render, rows
from lenet.report.content.gather import gather
from lenet.report.document.terminal import report_text, show
from lenet.report.progress.live import LiveObserver
from lenet.report.progress.plain import PlainObserver
from lenet.report.table import compare as comparison
from lenet.report.table import versions
from lenet.report.text.check import convergence_text, results_text, settings_text
from lenet.report.text.clean import clean_text
from lenet.report.text.doctor import doctor_text
from lenet.report.text.explain import explanation_text
from lenet.report.text.reproduce import publications_text, published_text, reproduce_text
from lenet.report.text.resume import resume_text
from lenet.report.text.tune import fastest_text, tuning_text
from lenet.report.text.verify import verify_text
from lenet.store.events import Steps
from lenet.store.freshness import CaseState, State
from lenet.store.record import Status

WIDTH = 80
INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
NAMES = [
    "Intel AVX-512 with float16, Intel DL Boost and bfloat16 support and Intel AMX with bfloat16 and 8-bit integer",
    "jit_uni_ncsp:conv+ref:any",
    "/home/somebody/" + "a-folder/" * 30 + "run",
    "node-" + "x" * 240 + ".example.org",
    "昇腾910B3处理器" * 12,
    "\x1b[31mred\x1b[0m\r\nnext\tcolumn",
    "\u202egpj.exe \u2066isolated\u2069 \ufeff",
    "e\u0301" * 90 + "👩\u200d👩\u200d👧 \ufe0f",
    "a folder \udcff\udc80 that is no text",
    "",
    "¹",
    "[bold]markup[/bold] :warning: {braces} %s",
    "NPU ID   : 0; NPU ID   : 1; " * 8,
]
"""What machines, libraries and paths are called, and what a stranger may call his."""
words = st.one_of(
    st.sampled_from(NAMES),
    st.text(st.characters(), max_size=200),
    st.text("aß漢🧪\u0301+/:", min_size=60, max_size=300),
)
speeds = st.one_of(st.floats(1e-6, 1e7), st.floats(0, 1e300, exclude_min=True))


def fits(text):
    for line in text.split("\n"):
        assert cell_len(line) <= WIDTH, line
        assert not {unicodedata.category(each) for each in line} & INVISIBLE, repr(line)


KEPT = {
    *("mode", "convergence", "status", "device_target", "verdict", "scaling", "pipeline", "framework", "unit"),
    "command",
}
"""Fields that hold a word of an enumeration, and doctor's commands, which are its own and stay whole to be copied."""


def renamed(value, word, name=""):
    """A copy of a model, in which every text is `word`."""
    if isinstance(value, Enum) or name in KEPT:
        return value
    if isinstance(value, str):
        return word
    if isinstance(value, BaseModel):
        return value.model_copy(update={field: renamed(each, word, field) for field, each in value})
    if dataclasses.is_dataclass(value):
        fields = {each.name: renamed(getattr(value, each.name), word, each.name) for each in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    if isinstance(value, dict):
        return {key: renamed(each, word) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(renamed(each, word) for each in value)
    return value


def explained(word, speed):
    part = Part(name="host", milliseconds=speed, low=speed / 2, high=speed)
    seen = Observed(
        case=Case(mode=Mode.PYNATIVE),
        cores=128,
        speed=Speed(rates=(speed, speed)),
        step=StepTimes(whole=speed, resident=speed / 2, cores_busy=127.5, system_share=0.5),
        account=StepAccount(step=part, parts=(part,) * 4),
        operators=tuple(Operator(name="Conv2D", calls=2.0, milliseconds=speed) for _ in range(10)),
        kernels=tuple(Kernel("convolution", "undef", "ref", 2.0, speed, gflops, True) for gflops in (None, speed)),
        library=Library(version="3", instruction_set="AVX", threads=128),
        bounds=Bounds.of(250.0, 20.0, 32, speed),
        caveats=("busy",),
    )
    trial = TriedChange(
        change="--profile x", before=Speed(rates=(1.0,)), after=Speed(rates=(speed,)), gain=speed, low=speed / 2,
        high=speed, unit="groups", groups=3,
    )  # fmt: skip
    found = Explanation(
        observed=seen,
        findings=(
            SpeedFinding(
                key="pipeline", title="slow", evidence=("a", "b"), seen_with="--profile x", trial=trial,
                beside_others=trial, fixed=True,
            ),
        ),
        fixes="--profile x",
        remaining=seen,
        speeds=(
            SpeedLine(name="as it is", images_per_second=speed, compared=None),
            SpeedLine(name="--profile x", images_per_second=speed, compared=trial),
        ),
        twin=trial,
        gap=(GapLine(name="host", ours=speed, theirs=speed / 2, limit=speed / 9),) * 2,
        notes=("the time was over",),
    )  # fmt: skip
    return explanation_text(renamed(found, word), word)


def diagnosed(word, _):
    check = Check(name="driver", passed=None, message="missing", fix="install it")
    each = DeviceReport(device_target=DeviceTarget.ASCEND, works=False, checks=(check,) * 2, version_pairs=("CANN",))
    made = [Environment(title="mindspore 2.7.0", folder="f", python=python) for python in ("3.11.7", None)]
    report = DoctorReport(machine="m", python="p", mindspore="2", devices=(each,), environments=tuple(made))
    return doctor_text(renamed(report, word))


def cleaned(word, speed):
    found = [Leftover("data", Path("/") / word.replace("\0", ""), 10**12, kept) for kept in ("", word)]
    return clean_text(found, True) + clean_text(found, False)


def tuned(word, speed):
    profile = RuntimeProfile().model_copy(update={"name": word})
    settings = RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking+operator_threads=128+dispatch_threads=100")
    speed = max(speed, 1e-300)  # a turn ends in a finite time
    groups = [Measured(speed, "", name, (TimedTurn(0, 32, 32 / speed),)) for name in "abc"]
    twice = [Measured(speed * 99, "", name, (TimedTurn(0, 32, 32 / speed / 99),)) for name in "abc"]
    default = Candidate(profile, groups[:1], groups)
    best = Candidate(settings, twice[:1], [*twice[:2], groups[2]])
    out = Candidate(profile, [Measured(None, word)])
    case = renamed(Case(), word)
    gain = ratio(groups, twice)
    effects = [SettingEffect("operator_threads=128", speed, Interval(speed / 2, speed * 2), 99)] * 2
    found = [
        SearchResult(default, (best, out), best, best, gain, tuple(effects), (word, word), 8, True),
        SearchResult(default, (best, out), best, default, gain, tuple(effects[:1]), (), 8, False),
        SearchResult(default, (best,), best, default, None, (), (), 8, True),
        SearchResult(default, (), default, default, None, (), (), 8, False),
        SearchResult(out, (), out, out, None, (), (word,), 8, False),
    ]
    return "".join(tuning_text(case, each, 200, 1e-4) for each in found)


def raced(word, speed):
    speed = max(speed, 1e-300)
    groups = [Measured(speed, "", name, (TimedTurn(0, 32, 32 / speed),)) for name in "abc"]
    fast = RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking+operator_threads=128+dispatch_threads=100")
    cases = [renamed(Case(framework_version="2.7.0", profile=fast), word), Case(mode="pynative"), Case(mode="jit")]
    sampled = ([groups, groups, []], [groups[:2], groups, groups], [[], [], []])
    found = [fastest(dict(zip(cases, samples, strict=True))) for samples in sampled]
    return "".join(map(fastest_text, found))


def checked(word, speed):
    parts = TraceComparison(
        outcome=Match.DIFFERENT,
        steps=10**9,
        first_weights_apart=1,
        layers_apart=("a", "b"),
        beyond=10**9,
        largest_loss_difference=speed,
        distances=(LayerDistance(layer="a", relative=speed),),
    )
    results = [
        RungResult(rung=Rung.MODES, compared="a / b", holds=False, comparison=parts),
        RungResult(rung=Rung.LEARN, compared="a", holds=None, reason="no", verdict=ConvergenceStatus.NO_REFERENCE),
    ]
    sentence = settings_text({"cores": "128", "operator_threads": word, "framework": word})
    return results_text(renamed(results, word), sentence, 1e-3)


def resumed(word, _):
    case = renamed(Case(), word)
    return resume_text([CaseState(case, state, word) for state in State], retry_failed=True)


def reproduced(word, speed):
    claims = [Claim(case_id=word, name=name, verdict=ClaimVerdict.CANNOT_TELL, figures=word) for name in ("a", word)]
    return reproduce_text(claims, [(word, word, word)] * 20)


PAGE = load_publication("tutorial")


def published(word, speed):
    results = [
        PublishedResult(
            publication=PAGE.name, figure=figure, verdict=PublishedVerdict.REFUTED, measured=speed, low=speed / 2,
            high=speed * 2, trainings=10**9, why="outside",
        )
        for figure in PAGE.figures
    ]  # fmt: skip
    return published_text(renamed(PAGE, word), renamed(results, word))


def listed(word, _):
    return publications_text([renamed(each, word) for each in (PAGE, PAGE)])


def verified(word, _):
    many = Verification([word] * 300, [word], [word] * 20, 10**9, 10**9)
    return verify_text(word, many) + verify_text(word, Verification([], [], [], 1, 1))


RENDERERS = {
    "explanation_text": explained,
    "clean_text": cleaned,
    "doctor_text": diagnosed,
    "tuning_text": tuned,
    "fastest_text": raced,
    "results_text": checked,
    "settings_text": checked,
    "resume_text": resumed,
    "reproduce_text": reproduced,
    "published_text": published,
    "publications_text": listed,
    "verify_text": verified,
}
WITH_RECORDS = {"convergence_text"}


def test_every_text_of_a_command_is_here():
    found = set()
    for module in pkgutil.iter_modules(lenet.report.text.__path__):
        functions = inspect.getmembers(importlib.import_module(f"lenet.report.text.{module.name}"), inspect.isfunction)
        found |= {name for name, _ in functions if name.endswith("_text")}
    assert found == RENDERERS.keys() | WITH_RECORDS


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("word", NAMES, ids=range(len(NAMES)))
def test_a_name_that_is_known_fits(name, word):
    fits(RENDERERS[name](word, 1234.5))


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(RENDERERS)), words, speeds)
def test_any_name_fits(name, word, speed):
    fits(RENDERERS[name](word, speed))


@pytest.fixture(scope="module")
def records(measured):
    return [
        *(
            measured((100, 200, 400), mode=mode, batch_size=32, repetition=i)
            for mode in ABILITIES[Framework.MINDSPORE].modes
            for i in range(2)
        ),
        measured((100, 200), epochs=12, correct=97, batch_size=65536, seed=2**32 - 1, world_size=64),
        measured((), mode=Mode.JIT, status=Status.OUT_OF_MEMORY, reason="x"),
    ]


def named(records, names, speed=1.0):
    """The records with every text as in one of the names, and speeds many times as high."""
    changed = []
    for index, each in enumerate(records):
        record = renamed(each, names[index % len(names)])
        software = each.software and record.software.model_copy(update={"framework_version": f"2.{index % 2}.0"})
        windows = tuple(window.model_copy(update={"seconds": window.seconds / speed}) for window in record.windows)
        changed.append(record.model_copy(update={"windows": windows, "software": software}))
    return changed


several = st.lists(
    words.filter(lambda word: word.isascii() or not re.search("[\ud800-\udfff]", word)), min_size=1, max_size=4
)
relaxed = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@relaxed
@given(several, st.floats(1e-9, 1e9))
def test_tables_fit(records, names, speed):
    given_records = named(records, names, speed)
    table = [row for i, each in enumerate(names) for row in rows(given_records, each * (i + 1), ())]
    fits(render(table, "terminal"))
    found = compare(given_records, named(records, names[::-1], speed))
    fits(comparison.render(found, "terminal", 0.01, (names[0], names[-1])))
    fits(versions.render(given_records, "terminal"))
    fits(convergence_text([(each, Convergence(ConvergenceStatus.TOO_SLOW, names[0])) for each in given_records]))


@pytest.fixture(scope="module")
def report(tmp_path_factory, records, write_run, measured):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "one", records, losses=[2.3, 1.5])
    write_run(folder / "two", [measured((50, 60), version="2.9.0"), measured((70,))], cpu="Another CPU")
    return gather([folder])


@relaxed
@given(words)
def test_a_report_fits(report, word):
    changed = renamed(report, word)
    fits(report_text(changed, None))
    machines = {name: renamed(card, word) for name, card in report.machines.items()}
    fits(report_text(dataclasses.replace(report, machines=machines, notes=[word])))


def test_a_report_is_printed_as_it_is(report):
    console = Console(file=io.StringIO(), width=40, color_system=None)
    show(report, console)
    assert console.file.getvalue() == report_text(report) + "\n"


CURSOR = re.compile(r"(?:\x1b\[[0-9;?]*[a-zA-Z]|\r)+")
"""Movements of the cursor: each begins a line anew."""


@relaxed
@given(words)
def test_progress_fits(digits, plain_record, word):
    cases = [renamed(Case(repetition=i), word) for i in range(2)]
    cases += [Case(mode=Mode.JIT).model_copy(update={"profile": cases[0].profile, "dataset": "digits"})]
    steps = Steps(epoch=1, first_step=60, steps=20, images=640, seconds=0.5, warmup=False, losses=())
    terminal = Console(file=io.StringIO(), force_terminal=True, width=WIDTH, color_system=None)
    pipe = Console(file=io.StringIO(), width=WIDTH)
    plain = PlainObserver(pipe)
    with LiveObserver(terminal, {case.dataset: digits for case in cases}, cases) as live:
        for observer in (live, plain):
            for case in cases:
                observer.case_started(case, 0, 3, word)
            observer.event(cases[0], steps)
            live.draw()
            for case in cases:
                observer.case_finished(case, plain_record(case, Status.CRASHED, word))
    fits(pipe.file.getvalue())
    fits(CURSOR.sub("\n", terminal.file.getvalue()))


@relaxed
@given(words)
def test_messages_fit(capsys, word):
    invocation = Invocation(None, False, None)
    invocation.note(word)
    invocation.log(f"records: {word}")
    fits(capsys.readouterr().err)


def test_a_path_is_shown_whole():
    path = Path("/home/somebody") / ("folder" * 20) / "run"
    text = verify_text(str(path), Verification([], [], [], 1, 1))
    assert str(path) in "".join(text.split())
