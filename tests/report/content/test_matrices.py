"""The first tables of a report: modes down, batch sizes across."""

from __future__ import annotations

import pytest

from lenet.cases.case import Mode, Pipeline
from lenet.cases.frameworks import Framework
from lenet.report.content.gather import gather
from lenet.report.content.matrices import caption, matrices, shares
from lenet.store.record import Status


@pytest.fixture
def tables(tmp_path, measured, write_run):
    def make(*runs, **cpus):
        for index, records in enumerate(runs):
            write_run(tmp_path / f"run-{index}", records, cpu=f"CPU {index if cpus.get('several') else 'one'}")
        return matrices(gather([tmp_path]))

    return make


def test_modes_down_and_batch_sizes_across(tables, measured):
    (table,) = tables(
        [
            measured((200, 200), batch_size=64),
            measured((100, 100), batch_size=32),
            measured((50, 50), mode=Mode.PYNATIVE, batch_size=32),
        ]
    )
    assert table.title == "", "there is nothing to tell it from"
    assert table.grid.titles == ("mode", "profile", "batch 32", "batch 64")
    assert table.grid.lines == [
        ["PyNative", "as installed", "50", "–"],
        ["Graph (functional step)", "as installed", "100", "200 *"],
    ]


def test_three_processes_have_an_interval(tables, measured):
    (table,) = tables([measured((speed, speed), repetition=i) for i, speed in enumerate((95, 100, 105))])
    assert table.grid.lines == [["Graph (functional step)", "as installed", "100 ±12% *"]]


def test_tuned_beside_as_installed(tables, measured):
    (table,) = tables([measured((100, 100)), measured((300, 300), profile="b"), measured((200, 200), profile="a")])
    assert [line[2] for line in table.grid.lines] == ["100", "300 *"]
    assert table.grid.lines[0][1] == "as installed"


def test_a_failed_training_has_a_word_and_never_the_mark(tables, measured):
    bad = measured((900, 900), mode=Mode.JIT, status=Status.DIVERGED, reason="nan")
    (table,) = tables([measured((100, 100)), bad])
    assert [line[2] for line in table.grid.lines] == ["100 *", "diverged"]


def test_the_newest_release_of_each_framework(tables, measured):
    peer = measured((300, 300), framework=Framework.PYTORCH, mode=Mode.EAGER, version="2.13.0")
    (table,) = tables([measured((900, 900), version="2.9.0")], [measured((100, 100)), peer])
    assert [line[0] for line in table.grid.lines] == ["Graph (functional step)", "pytorch eager"]
    assert [line[2] for line in table.grid.lines] == ["100", "300 *"]


def test_machines_and_pipelines_have_a_table_each(tables, measured):
    found = tables([measured(), measured(pipeline=Pipeline.CACHED)], [measured()], several=True)
    assert [table.title for table in found] == [
        "CPU 0 · tutorial pipeline", "CPU 0 · cached pipeline", "CPU 1 · tutorial pipeline",
    ], "device, release and data are the same"  # fmt: skip


def test_the_caption_has_what_the_titles_share(tmp_path, measured, write_run):
    write_run(tmp_path / "run", [measured(), measured(pipeline=Pipeline.CACHED)])
    words = caption(gather([tmp_path]))
    assert words.endswith("All: Example CPU, CPU, mindspore 2.10.0, mnist.")


def test_colours_are_on_one_scale_for_all_tables(tables, measured):
    found = tables(
        [
            measured((100, 100)),
            measured((1000, 1000), mode=Mode.JIT),
            measured((), mode=Mode.PYNATIVE, status=Status.CRASHED),
        ],
        [measured((10, 10))],
        several=True,
    )
    assert shares(found) == [[[None], [0.5], [1.0]], [[0.0]]]


def test_a_measurement_of_speed_stands_before_one_of_epochs(tables, measured):
    (table,) = tables([measured((100, 100)), measured((900, 900), epochs=1)])
    assert table.grid.lines[0][2].startswith("100")
