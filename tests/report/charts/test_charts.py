"""Charts: which there are, what is in them, and pictures of them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from lenet.cases.case import Mode, Pipeline
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.report.charts import charts
from lenet.report.charts.channels import SERIES_COLOURS, Palette
from lenet.report.charts.chart import MOST_BARS, MOST_PANELS, Chart, Data
from lenet.report.charts.look import COLOURS
from lenet.report.charts.picture import adaptive, filled, svg
from lenet.report.charts.points import datasets
from lenet.report.content.gather import gather
from lenet.store.record import Status


@pytest.fixture
def data_of(tmp_path, write_run):
    def make(records, references=None, **options):
        write_run(tmp_path / "run", records, **options)
        return datasets(gather([tmp_path / "run"], references))

    return make


def panels(data, name):
    """The panels of the chart of that name: their names and specifications."""
    ((chart, points),) = (each for each in charts(data) if each[0].id == name)
    return filled(chart, points, data["band"])


def test_sections_without_data_are_omitted(data_of, measured):
    data = data_of([measured(), measured(mode=Mode.JIT)])
    assert [chart.id for chart, _ in charts(data)] == ["phases"], "one batch size is no chart by batch size"


def test_a_chart_along_an_axis_needs_a_series_along_it(data_of, measured):
    data = data_of([measured(), measured(mode=Mode.JIT, batch_size=64), measured(mode=Mode.PYNATIVE, profile="b")])
    assert [chart.id for chart, _ in charts(data)] == ["phases"]


def test_every_section_that_has_data_is_there(data_of, measured):
    records = [
        measured(epochs=1, correct=98, profile=profile, version=version, framework_version=version)
        for profile in ("default", "tuned") for version in ("2.9.0", "2.10.0")
    ]  # fmt: skip
    data = data_of(records, losses=[2.3, 2.0, 1.0])
    assert [chart.id for chart, _ in charts(data)] == [
        "profiles", "versions", "accuracy", "losses", "phases",
    ]  # fmt: skip


def test_failed_cases_are_not_drawn(data_of, measured):
    bad = measured(mode=Mode.JIT, status=Status.DIVERGED, reason="nan")
    data = data_of([measured(), measured(batch_size=64), bad])
    ((_, spec),) = panels(data, "throughput")
    assert [data["rows"][point["i"]]["mode"] for point in spec["datasets"]["shown"]] == ["graph"] * 2


def test_panels_share_their_axis_and_are_capped_with_the_fastest_first(data_of, measured):
    records = [
        measured((rate, rate), profile=f"p{rate}", batch_size=size) for rate in range(100, 1000, 100) for size in (1, 2)
    ]
    data = data_of(records)
    found = panels(data, "throughput")
    assert [name for name, _ in found] == [f"p{rate}" for rate in range(900, 900 - 100 * MOST_PANELS, -100)]
    tops = [param["value"] for _, spec in found for param in spec["params"] if param["name"] == "top"]
    assert tops == pytest.approx([945] * MOST_PANELS)


def test_the_band_is_drawn_where_the_reference_is_of_all_lines(data_of, trained, measured, reference):
    data = data_of([trained(), trained(nth=1), measured(epochs=2, correct=98, batch_size=64)], [reference])
    assert [point["epoch"] for point in data["band"]] == list(range(1, reference.epochs + 1))
    last = reference.band[-1].accuracy
    assert (data["band"][-1]["low"], data["band"][-1]["high"]) == (last.low, last.high)
    (_, with_band), (_, without) = panels(data, "accuracy")
    assert len(with_band["layer"]) == len(without["layer"]) + 2


def test_no_band_is_drawn_over_trainings_of_other_rates(data_of, trained, reference):
    assert data_of([trained(), trained(nth=1, learning_rate=0.02)], [reference])["band"] == []


def test_a_training_that_failed_the_check_is_in_no_chart_of_speeds(data_of, trained, reference):
    data = data_of([trained(), trained(nth=1, right=0.5, mode=Mode.JIT)], [reference])
    assert "throughput" not in [chart.id for chart, _ in charts(data)]


def test_a_case_under_one_profile_is_not_in_the_comparison(data_of, measured):
    data = data_of([measured(), measured(profile="tuned"), measured(mode=Mode.JIT)])
    ((_, spec),) = panels(data, "profiles")
    assert {point["way"] for point in spec["datasets"]["shown"]} == {"graph"}


def test_every_chart_becomes_a_picture_that_reads_on_light_and_dark(data_of, measured, trained, reference):
    records = [
        measured(epochs=1, correct=98), measured(epochs=1, correct=97, version="a<b>&c", repetition=1), trained(),
    ]  # fmt: skip
    data = data_of(records, [reference], losses=[2.3, 1.0])
    pictures = {chart.id: svg(spec) for chart, _ in charts(data) for _, spec in panels(data, chart.id)}
    assert len(pictures) >= 3
    for picture in pictures.values():
        root = ElementTree.fromstring(picture)
        assert root.tag.endswith("svg")
        assert "prefers-color-scheme:dark" in picture
        assert 'fill="var(' not in picture
        assert len(picture) < 60_000
        assert not [each for each in root.iter() if each.tag.endswith(("script", "image", "foreignObject"))]
    assert "a&lt;b&gt;&amp;c" in pictures["phases"]


def test_ties_do_not_exceed_the_largest_number_of_lines(data_of, measured):
    records = [measured(batch_size=32 + size, seed=size) for size in range(2 * MOST_BARS)]
    data = data_of(records)
    ((_, spec),) = panels(data, "phases")
    names = [each for each in ElementTree.fromstring(svg(spec)).itertext() if each.startswith("batch")]
    assert len(names) == MOST_BARS


def test_a_point_has_only_what_its_chart_reads(data_of, measured):
    data = data_of([measured(), measured(profile="tuned")])
    for chart, _ in charts(data):
        for _, spec in panels(data, chart.id):
            for point in spec["datasets"]["shown"]:
                assert set(chart.fields(data["rows"][0])) <= set(point)
                assert not {"reason", "machine", "case_id"} & set(point)


def test_the_chart_that_the_guide_adds_is_drawn(data_of, measured):
    guide = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall("```python\n(.*?)```", guide, re.DOTALL) if "-> Chart" in block)
    names = {"Palette": Palette, "Data": Data, "Chart": Chart}
    exec(code, names)
    data = data_of([measured(), measured(mode=Mode.JIT)])
    memory = names["memory"](Palette.of(data["rows"]), data)
    ((_, spec),) = filled(memory, memory.points(data), [])
    assert [point["peak_memory_bytes"] for point in spec["datasets"]["shown"]] == [2**30] * 2
    assert svg(spec).startswith("<svg")


def test_a_colour_is_plain_for_a_viewer_without_styles():
    picture = adaptive('<svg><path fill="var(--ink)" stroke="var(--grid)"/></svg>')
    (light, dark), (line, _) = COLOURS["ink"], COLOURS["grid"]
    assert f'<path fill="{light}" stroke="{line}"/>' in picture
    assert f'[fill="{light}"]{{fill:{dark}}}' in picture


def test_a_colour_of_a_light_page_is_one_of_a_dark_page():
    assert len({light for light, _ in COLOURS.values()}) == len(set(COLOURS.values()))


def test_a_label_names_the_axes_that_vary_in_its_chart_and_is_never_cut(data_of, measured):
    long = "onednn_isa=avx2+launch_blocking+operator_threads=1+dispatch_threads=1+dataset_workers="
    records = [
        *(measured((100 + n, 100), profile=f"{long}{n}", mode=Mode.PYNATIVE) for n in (1, 2)),
        measured((50, 50), mode=Mode.PYNATIVE), measured((40, 40), batch_size=64, mode=Mode.JIT, epochs=1),
    ]  # fmt: skip
    data = data_of(records)
    ((_, spec),) = panels(data, "profiles")
    assert {point["way"] for point in spec["datasets"]["shown"]} == {"pynative"}, "mode and batch are those of all"
    ((_, spec),) = panels(data, "phases")
    drawn = "".join("".join(ElementTree.fromstring(svg(spec)).itertext()).split())
    assert f"{long}1" in drawn
    assert f"{long}2" in drawn
    assert "…" not in drawn


def test_a_legend_has_what_is_drawn_and_its_colours_stay(data_of, measured):
    fast = [measured((9, 9), mode=Mode.JIT, batch_size=size) for size in (32, 64)]
    data = data_of([measured((5, 5), mode=Mode.PYNATIVE), *fast])
    ((_, spec),) = panels(data, "throughput")
    assert spec["encoding"]["color"]["scale"] == {"domain": ["jit (whole step)"], "range": ["var(--series-2)"]}


def test_no_two_ways_of_training_have_one_colour():
    assert sum(len(each.modes) for each in ABILITIES.values()) <= SERIES_COLOURS
    series = [COLOURS[f"series-{number}"] for number in range(1, SERIES_COLOURS + 1)]
    assert len({light for light, _ in series}) == len({dark for _, dark in series}) == SERIES_COLOURS


def test_the_speeds_of_mindspore_stand_before_those_of_a_faster_peer(data_of, measured):
    peer = {"framework": Framework.PYTORCH, "mode": Mode.EAGER, "version": "2.13.0", "pipeline": Pipeline.CACHED}
    records = [measured((speed, speed), batch_size=size, **fields) for size in (32, 64)
               for speed, fields in ((10, {}), (900, peer))]  # fmt: skip
    assert [name for name, _ in panels(data_of(records), "throughput")] == [
        "tutorial pipeline", "cached pipeline",
    ]  # fmt: skip
