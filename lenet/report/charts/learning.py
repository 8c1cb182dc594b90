"""Whether it learns: accuracy and losses."""

from __future__ import annotations

from lenet.report.charts.channels import Palette, dot, nominal, quantitative, tip
from lenet.report.charts.chart import Chart, Data
from lenet.report.content.traces import MAX_TRACES


def accuracy(palette: Palette, _: Data) -> Chart:
    """Test accuracy, 0 to 1, by epoch, over the reference band; a panel a batch size and dataset."""
    x = quantitative("epoch", "epoch", axis={"tickMinStep": 1, "format": "d"})
    options = {"scale": {"zero": False, "nice": True}, "axis": {"format": ".1%"}}
    low, centre, median = (quantitative(field, "test accuracy", **options) for field in ("low", "centre", "accuracy"))
    encoding = {
        "x": x,
        "y": {**median, "aggregate": "median"},
        "color": palette.colour,
        "detail": nominal("label"),
    }
    tooltip = [
        *tip("label:case", "epoch:epoch:d"),
        quantitative("accuracy", "accuracy", aggregate="median", format=".4f"),
        quantitative("accuracy", "trainings", aggregate="count"),
    ]
    layers = [
        {
            "data": {"name": "band"},
            "mark": {"type": "area", "color": "var(--ink)", "opacity": 0.1},
            "encoding": {"x": x, "y": low, "y2": {"field": "high"}},
        },
        {
            "data": {"name": "band"},
            "mark": {"type": "line", "color": "var(--ink)", "opacity": 0.45, "strokeDash": [2, 3], "strokeWidth": 1.5},
            "encoding": {"x": x, "y": centre},
        },
        {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": encoding},
        dot(55, **encoding, tooltip=tooltip),
    ]
    return Chart(
        "accuracy",
        "Accuracy by epoch",
        "Share of the test set that is classified correctly after each epoch; the median where a case was trained "
        "several times. The grey band, where there is one, is the reference: how far trainings of this batch size "
        "spread.",
        "epochs",
        {"layer": layers},
        panel="training_panel",
    )


def losses(palette: Palette, _: Data) -> Chart:
    """Training loss by step, thinned; a panel a batch size and dataset."""
    x = quantitative("step", "training step", axis={"format": ",.0f", "tickCount": 5})
    low, mean = (quantitative(field, "training loss", scale={"zero": True}) for field in ("low", "mean"))
    tooltip = tip("label:case", "step:up to step:,", "mean:mean:.4f", "low:lowest:.4f", "high:highest:.4f")
    layers = [
        {"mark": {"type": "area", "opacity": 0.14}, "encoding": {"y": low, "y2": {"field": "high"}}},
        {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": {"y": mean}},
        {"mark": {"type": "point", "opacity": 0, "size": 60}, "encoding": {"y": mean, "tooltip": tooltip}},
    ]
    return Chart(
        "losses",
        "Loss curves",
        f"Training loss by step, one training of each kind, at most {MAX_TRACES}. Long trainings are thinned: a point "
        "of the line is the mean over equally many consecutive steps, the pale band around it their lowest and highest "
        "loss, so that no spike is hidden.",
        "losses",
        {"encoding": {"x": x, "color": palette.colour, "detail": nominal("label")}, "layer": layers},
        panel="training_panel",
        detail=True,
    )
