"""The headline and the questions: sentences that the figures bear."""

from __future__ import annotations

import re

import pytest

from lenet.cases.case import Mode, Pipeline
from lenet.cases.frameworks import Framework
from lenet.report.content.answers import answers
from lenet.report.content.gather import gather
from lenet.report.content.grids import history, leaderboard
from lenet.report.content.headline import headline
from lenet.store.record import Status

FASTEST, GRAPH = "Which mode is fastest?", "Is Graph faster than PyNative?"
LEARNS, TUNING = "Does it learn?", "What does tuning gain?"
PEERS, SURE, FAILED = "Is PyTorch faster?", "How sure is that?", "What failed?"


@pytest.fixture
def report(tmp_path, measured, write_run):
    def make(*runs, references=None, **cpus):
        for index, records in enumerate(runs):
            write_run(tmp_path / f"run-{index}", records, cpu=f"CPU {index if cpus.get('several') else 'one'}")
        return gather([tmp_path], references)

    return make


def by_question(report):
    return {each.question: each.words for each in answers(report)}


@pytest.fixture
def said(report):
    """The answers by their questions."""
    return lambda *runs, **fields: by_question(report(*runs, **fields))


def test_ten_questions_are_answered_or_say_what_measures_them(report, measured):
    found = answers(report([measured()]))
    assert len(found) == 10
    unmeasured = [each.question for each in found if each.words.startswith("Not measured: `lenet-bench ")]
    assert len(unmeasured) == 6
    assert found[-1].words.startswith("CPU one, ")


def test_the_fastest_mode_and_by_how_much(report, measured):
    records = [measured((990, 1000, 1010)), measured((190, 200, 210), mode=Mode.PYNATIVE)]
    found = report(records)
    assert headline(found) == "Fastest: Graph (functional step) on CPU at batch 32, 1,000 images/s (mindspore 2.10.0)."
    assert by_question(found)[FASTEST] == "Graph at batch 32: 1,000 images/s, 5.00× PyNative."


def test_the_fastest_mode_is_of_cases_that_differ_in_nothing_else_and_as_installed(said, measured):
    records = [
        measured((100, 100)), measured((50, 50), mode=Mode.PYNATIVE), measured((40, 40), mode=Mode.JIT, batch_size=64),
        measured((900, 900), mode=Mode.PYNATIVE, profile="tuned", pipeline=Pipeline.CACHED),
    ]  # fmt: skip
    assert said(records)[FASTEST] == (
        "Graph at batch 32: 100 images/s, 2.00× PyNative; "
        "with other settings up to 900 images/s: PyNative at batch 32 (cached pipeline, tuned)."
    )


def test_each_machine_has_its_fastest_and_its_run(report, measured):
    found = answers(report([measured((100, 100))], [measured((300, 300), mode=Mode.JIT)], several=True))[0]
    assert found.words == ("On CPU 1, jit at batch 32: 300 images/s. On CPU 0, Graph at batch 32: 100 images/s.")
    assert found.runs == ["run-1", "run-0"]


def test_graph_over_pynative_by_batch_size_as_installed(said, measured):
    records = [
        measured((speed, speed), mode=mode, batch_size=batch, profile=profile)
        for batch, factor in ((32, 8), (64, 4), (128, 2), (256, 1), (512, 1))
        for profile, pace in (("default", 100), ("tuned", 900))
        if profile == "tuned" or batch < 512
        for mode, speed in ((Mode.PYNATIVE, pace), (Mode.GRAPH, pace * factor))
    ]
    assert said(records)[GRAPH] == (
        "Graph over PyNative. Of one process each: 8.00× at batch 32, 4.00× at batch 64, 1.00× at batch 256, "
        "1.00× at batch 512 (tuned)."
    )


def test_ratios_of_one_verdict_stand_together_and_what_is_established_first(said, measured):
    records = [
        measured((rate * (1 + n / 1000), rate), mode=mode, batch_size=size, repetition=n)
        for size, factor, count in ((32, 1.0, 2), (64, 2.0, 5), (128, 3.0, 5))
        for mode, rate in ((Mode.PYNATIVE, 100), (Mode.GRAPH, 100 * factor))
        for n in range(count)
    ]
    words = said(records)[GRAPH]
    ratio = r"\d\.\d\d× \(.*?\)"
    wanted = rf"Graph over PyNative\. Faster: {ratio} at batch 64, {ratio} at batch 128; [a-z]+: {ratio} at batch 32\."
    assert re.fullmatch(wanted, words)


def test_a_lead_within_groups_is_established_though_the_machine_changes_more(said, together):
    """Between groups the machine differs by 30%, and the spreads of the two overlap."""
    words = said(together(4, 1.05))
    assert re.match(r"Graph over PyNative, faster: 1\.0\d× \(1\.0\d to 1\.0\d\)\. ", words[SURE])
    assert re.search(r"Faster: 1\.0\d× \(1\.0\d to 1\.0\d\) at batch 32\.", words[GRAPH])


def test_a_lead_that_is_none_stays_open(said, together):
    words = said(together(3, 1.0, own=0.3))[SURE]
    assert " over PyNative, unresolved: " in words or " over Graph, unresolved: " in words
    assert "Unresolved: these processes do not show which" in words


def test_single_processes_establish_nothing(said, measured):
    words = said([measured((500, 1000, 1500)), measured((400, 900, 1400), mode=Mode.JIT)])[SURE]
    assert words.startswith("Graph over jit, of one process each: 1.11×; repeat with --repeat 3. ")
    assert "Unresolved" not in words


def test_independent_processes_are_tested_too(said, apart):
    words = said(apart(4, 2.0))[SURE]
    assert words.startswith("Graph over PyNative, faster: 2.0")
    assert "). 2 of 2 figures rest on 3 processes or more" in words


def test_a_failed_case_is_never_the_fastest(report, measured):
    bad = measured((9000, 9000), mode=Mode.JIT, status=Status.DIVERGED, reason="nan")
    found = report([measured((10, 10)), bad])
    assert headline(found).startswith("Fastest: Graph")
    assert by_question(found)[FAILED] == "1 of 2 cases did not succeed: 1 diverged."


def test_nothing_measured(report, measured):
    found = report([measured((), status=Status.UNAVAILABLE, reason="no GPU")])
    assert headline(found) == "Nothing was measured: no case succeeded."
    assert by_question(found)[FASTEST] == "Nothing was measured: no case succeeded."
    assert by_question(found)[FAILED] == "1 of 1 case did not succeed: 1 unavailable."


def test_learning_is_compared_with_the_reference(report, trained, reference):
    records = [trained(nth=1), trained(nth=2, right=0.5, mode=Mode.JIT)]
    found = report(records, references=[reference])
    assert headline(found).startswith("Fastest: Graph")
    words = by_question(found)
    assert words[LEARNS].endswith("(2 trainings); 1 of 2 inside the reference band.")
    assert words[FAILED] == "1 of 2 cases did not succeed: 1 too slow."


def test_without_a_reference_there_is_no_band(said, trained):
    assert said([trained(nth=1), trained(nth=2)], references=[])[LEARNS].endswith("(2 trainings).")


def test_a_plateau_did_not_learn(said, measured):
    words = said([measured(epochs=1, status=Status.PLATEAU, reason="a constant answer")])
    assert words[LEARNS] == "It did not learn: no training of whole epochs succeeded."


def test_processes_that_train_together_are_compared_with_one(said, measured):
    words = said([measured((100, 100)), measured((160, 160), world_size=2)])
    assert words["How does it scale with processes?"].startswith("2 processes 1.60× one, efficiency 80%: Graph")


def test_the_leaderboard_has_each_machine_once(report, measured):
    first = [measured((100, 100)), measured((300, 300), mode=Mode.JIT)]
    second = [measured((600, 600)), measured((9000, 9000), mode=Mode.JIT, status=Status.CRASHED, reason="gone")]
    table = leaderboard(report(first, second, several=True))
    assert [line[2:] for line in table.lines] == [
        ["Graph (functional step), batch 32, default", "mindspore 2.10.0", "600", "100%"],
        ["jit (whole step), batch 32, default", "mindspore 2.10.0", "300", "50%"],
    ]
    assert [line[0] for line in table.lines] == ["CPU 1", "CPU 0"]


def test_a_single_machine_has_no_leaderboard(report, measured):
    assert leaderboard(report([measured(), measured(mode=Mode.JIT)])).lines == []


def test_releases_stand_side_by_side_each_against_the_one_before(report, measured):
    runs = [
        [measured((speed * (1 + i / 100), speed), version=name, repetition=i) for i in range(4)]
        for name, speed in (("2.10.0", 50), ("2.7.0", 100), ("2.9.0", 200))
    ]
    found = history(report(*runs))
    assert found.titles == ("mode", "2.7.0", "2.9.0", "2.10.0")
    assert found.lines == [["Graph (functional step)", "101", "202 ↑", "50 ↓"]]


def test_the_newest_release_against_the_oldest_and_the_one_before(said, measured):
    runs = [
        [measured((speed * (1 + i / 100), speed), version=name, repetition=i) for i in range(4)]
        for name, speed in (("2.10.0", 50), ("2.7.0", 100), ("2.9.0", 200))
    ]
    words = said(*runs)["Is 2.10.0 slower than 2.7.0?"]
    assert words.startswith("2.10.0 over 2.9.0: 1 slower of 1 case. 2.10.0 over 2.7.0. Slower: 0.50× (")


class TestMindSporeFirst:
    @pytest.fixture
    def peer(self, measured):
        return measured((300, 300), framework=Framework.PYTORCH, mode=Mode.EAGER, version="2.13.0")

    def test_a_faster_peer_is_a_comparison(self, report, measured, peer):
        own = [measured((100, 100)), measured((50, 50), mode=Mode.PYNATIVE)]
        found = report([*own, peer])
        assert "Graph (functional step) on CPU at batch 32, 100 images/s (mindspore" in headline(found)
        words = by_question(found)
        assert words[FASTEST].endswith("100 images/s, 2.00× PyNative.")
        assert words[PEERS] == (
            "Its best over the best of MindSpore, in one run if one has both. "
            "Of one process each: 3.00× for pytorch 2.13.0 eager at batch 32 over Graph at batch 32."
        )

    def test_a_peer_is_compared_within_its_run_though_another_run_has_a_faster_mindspore(self, said, measured, peer):
        faster = [measured((400, 400))]
        assert "3.00× for pytorch" in said(faster, [measured((100, 100)), peer])[PEERS]

    def test_a_peer_in_a_run_of_its_own_is_compared_with_the_best_of_all(self, said, measured, peer):
        assert "0.75× for pytorch" in said([measured((400, 400))], [measured((100, 100))], [peer])[PEERS]

    def test_a_peer_elsewhere_is_none(self, said, measured, peer):
        assert said([measured()], [peer], several=True)[PEERS].startswith("Not measured")

    def test_a_peer_elsewhere_is_neither_a_release_nor_the_fastest_mode(self, said, measured, peer):
        words = said([measured(version="2.9.0")], [measured(version="2.10.0")], [peer], several=True)
        assert words["Is 2.10.0 slower than 2.9.0?"] == "No case was measured under both."
        assert "eager" not in words[FASTEST]

    def test_a_peer_alone_is_the_fastest(self, report, peer):
        assert headline(report([peer])).endswith("300 images/s (pytorch 2.13.0).")


def test_what_the_best_profile_gains_in_each_mode(said, measured):
    records = [
        measured((speed, speed), mode=mode, profile=profile)
        for mode, speeds in ((Mode.GRAPH, (100, 90, 150)), (Mode.PYNATIVE, (10, 40, 20)))
        for profile, speed in zip(("default", "a", "b"), speeds, strict=True)
    ]
    assert said(records)[TUNING] == (
        "Over the same case as installed. Of one process each: 4.00× for PyNative at batch 32 (a), "
        "1.50× for Graph at batch 32 (b)."
    )
