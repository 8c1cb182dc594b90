"""Where the time goes: of a step, of a process."""

from __future__ import annotations

from lenet.report.charts.channels import FIELD, LEGEND, Palette, bars, largest, line_each, nominal, quantitative, tip
from lenet.report.charts.chart import Chart, Data
from lenet.report.charts.points import PHASES

RESIDENT = "resident_images_per_second"


def step(_: Palette, _data: Data) -> Chart:
    """Milliseconds of a step: training, and waiting for data; a line a case."""
    medians = [
        {"op": "median", "field": field, "as": name} for field, name in ((FIELD, "speed"), (RESIDENT, "resident"))
    ]
    pieces = {"domain": ["training", "waiting for data"], "range": ["var(--piece-1)", "var(--piece-4)"]}
    waiting = "max(0, datum.whole - 1000 * datum.global_batch_size / datum.resident)"
    return Chart(
        "step",
        "Where a step’s time goes",
        "Milliseconds of one training step: what it takes with its batch already on the device, and what is added by "
        "waiting for the data pipeline (1 - images/s over resident images/s). A wait below the noise is drawn as none.",
        "rows",
        {
            "transform": [
                {"filter": f"datum.ok && isValid(datum.{FIELD}) && isValid(datum.{RESIDENT})"},
                {"aggregate": medians, "groupby": ["label", "global_batch_size"]},
                {"calculate": "-1000 * datum.global_batch_size / datum.speed", "as": "key"},
                *largest("key", "label"),
                {"calculate": "-datum.key", "as": "whole"},
                {"calculate": waiting, "as": "waiting for data"},
                {"calculate": "datum.whole - datum['waiting for data']", "as": "training"},
                {"calculate": "max(0, 1 - datum.speed / datum.resident)", "as": "share"},
                {"fold": ["training", "waiting for data"], "as": ["piece", "ms"]},
            ],
            **bars(
                y=line_each("label"),
                x=quantitative("ms", "milliseconds a step", stack="zero"),
                color=nominal("piece", scale=pieces, legend=LEGEND),
                order={"field": "piece", "sort": "ascending"},
                tooltip=tip(
                    "label:case", "piece:", "ms:ms:,.2f", "whole:ms a step:,.2f", "share:share spent waiting:.0%"
                ),
            ),
        },
        lines="label",
        detail=True,
        needs=RESIDENT,
    )


def phases(_: Palette, _data: Data) -> Chart:
    """Shares of a worker's wall time by phase, a line a case."""
    mean = [{"op": "mean", "field": "seconds", "as": "spent"}]
    colours = [f"var(--piece-{number})" for number in (3, 5, 1, 2, 4, 6)]
    scale = {"domain": [words for _, words in PHASES], "range": colours}
    return Chart(
        "phases",
        "Where a process’s time goes",
        "Shares of the worker’s wall time, without the turns of others. Only training is in throughput.",
        "phases",
        {
            "transform": [
                {"aggregate": mean, "groupby": ["label", "phase", "order"]},
                {"joinaggregate": [{"op": "sum", "field": "spent", "as": "key"}], "groupby": ["label"]},
                *largest("key", "label", op="dense_rank"),
                {"calculate": "datum.spent / datum.key", "as": "share"},
            ],
            "mark": {"type": "bar", "height": {"band": 0.62}},
            "encoding": {
                "y": line_each("label"),
                "x": quantitative("spent", "share of wall time", stack="normalize", axis={"format": ".0%"}),
                "color": nominal("phase", scale=scale, legend={**LEGEND, "labelLimit": 240}),
                "order": {"field": "order"},
                "tooltip": tip(
                    "label:case", "phase:phase", "spent:seconds:,.2f", "share:share:.1%", "key:wall seconds:,.1f"
                ),
            },
        },
        lines="label",
        detail=True,
    )
