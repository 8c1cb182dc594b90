"""Whether and how fast it learns: accuracy, losses, the time to an accuracy."""

from __future__ import annotations

from lenet.report.charts.axes import Palette, largest, line_each, tip
from lenet.report.charts.chart import Chart, Data, Spec


def accuracy(palette: Palette, data: Data) -> Chart:
    """Test accuracy, 0 to 1, by epoch, over the reference band; a panel a batch size and dataset."""
    x = {"field": "epoch", "type": "quantitative", "title": "epoch", "axis": {"tickMinStep": 1, "format": "d"}}
    y = {
        "type": "quantitative",
        "title": "test accuracy",
        "scale": {"zero": False, "nice": True},
        "axis": {"format": ".1%"},
    }
    lines: list[Spec] = [
        {
            "data": {"name": "band"},
            "mark": {"type": "area", "color": "var(--ink)", "opacity": 0.1},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": {"name": "band"},
            "mark": {"type": "line", "color": "var(--ink)", "opacity": 0.45, "strokeDash": [2, 3], "strokeWidth": 1.5},
            "encoding": {"x": x, "y": {**y, "field": "centre"}},
        },
    ]
    encoding = {
        "x": x,
        "y": {**y, "field": "accuracy", "aggregate": "median"},
        "color": palette.among(data["epochs"], data["rows"]),
    }
    detail = {"field": "label", "type": "nominal"}
    told = [
        *tip(("label", "case", ""), ("epoch", "epoch", "d")),
        {"field": "accuracy", "aggregate": "median", "title": "accuracy", "type": "quantitative", "format": ".4f"},
        {"field": "accuracy", "aggregate": "count", "title": "trainings", "type": "quantitative"},
    ]
    lines += [
        {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": {**encoding, "detail": detail}},
        {
            "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
            "encoding": {**encoding, "detail": detail, "tooltip": told},
        },
    ]
    return Chart(
        "accuracy",
        "Accuracy by epoch",
        "Share of the test set answered right after each whole epoch; the median where a case was trained more often. "
        "The grey band, where there is one, is the reference: how far trainings of this batch size spread.",
        "epochs",
        {"layer": lines},
        panel="training",
    )


def losses(palette: Palette, data: Data) -> Chart:
    """Training loss by step, thinned; a panel a batch size and dataset."""
    x = {"field": "step", "type": "quantitative", "title": "training step", "axis": {"format": ",.0f", "tickCount": 5}}
    y = {"type": "quantitative", "title": "training loss", "scale": {"zero": True}}
    detail = {"field": "label", "type": "nominal"}
    told = tip(
        *(("label", "case", ""), ("step", "up to step", ","), ("mean", "mean", ".4f")),
        *(("low", "lowest", ".4f"), ("high", "highest", ".4f")),
    )
    return Chart(
        "losses",
        "Loss curves",
        "Training loss by step. Long trainings are thinned: a point of the line is the mean over equally many "
        "consecutive steps, the pale band around it their lowest and highest loss, so that no spike is hidden.",
        "losses",
        {
            "encoding": {"x": x, "color": palette.among(data["losses"], data["rows"]), "detail": detail},
            "layer": [
                {
                    "mark": {"type": "area", "opacity": 0.14},
                    "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
                },
                {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": {"y": {**y, "field": "mean"}}},
                {
                    "mark": {"type": "point", "opacity": 0, "size": 60},
                    "encoding": {"y": {**y, "field": "mean"}, "tooltip": told},
                },
            ],
        },
        panel="training",
    )


def times(palette: Palette, data: Data) -> Chart:
    """Seconds of training until an accuracy was reached, a line a case."""
    shapes = {"title": "accuracy", "orient": "top", "symbolFillColor": "var(--soft)"}
    return Chart(
        "times",
        "Time to accuracy",
        "Seconds of training (compilation included, evaluation and set-up not) until the first epoch whose test "
        "accuracy reached the target. A case that never reached it has no mark.",
        "times",
        {
            "transform": [
                {
                    "aggregate": [
                        {"op": "median", "field": "seconds", "as": "mid"},
                        {"op": "count", "as": "processes"},
                    ],
                    "groupby": ["label", "series", "target"],
                },
                {"calculate": "-datum.mid", "as": "key"},
                *largest("key", "label"),
            ],
            "encoding": {
                "y": line_each("label"),
                "x": {"field": "mid", "type": "quantitative", "title": "seconds", "scale": {"zero": True}},
                "color": palette.among(data["times"], data["rows"]),
                "shape": {"field": "target", "type": "nominal", "legend": shapes},
                "tooltip": tip(
                    *(("label", "case", ""), ("target", "accuracy", ""), ("mid", "seconds", ",.1f")),
                    ("processes", "trainings", ","),
                ),
            },
            "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
        },
        lines="label",
    )
