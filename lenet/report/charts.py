"""The charts, as Vega-Lite specifications: the page draws them with hover and filters, the Markdown as pictures.

A specification names its data (see `lenet.report.points`) and holds all that is computed from it, so that page and
picture cannot differ. Colours are CSS variables: one drawing serves light, dark and paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lenet.report.leaders import version_key
from lenet.report.points import PHASES, Points
from lenet.report.rows import several

Spec = dict[str, Any]
Data = Mapping[str, Points]
SERIES_COLOURS = 8
MOST_BARS = 20
"""A chart with more lines of bars is not read; the rest is in the table."""
LINE_HEIGHT = 24
"""Pixels of a line of a bar chart."""
MOST_PANELS = 6
WIDE_RATIO = 40
"""Speeds that lie further apart than this are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Chart:
    """A drawing and what to know about it."""

    id: str
    title: str
    caption: str
    data: str
    """The list of points that it draws."""
    spec: Spec
    panel: str | None = None
    """The field whose values are drawn apart, a panel each."""
    lines: str | None = None
    """The field that has a line for each of its values: the drawing is as high as it has lines."""
    contrast: str | None = None
    """Lines are only drawn where this field has several values."""
    needs: str = "images_per_second"
    """The figure that a row must have to be drawn, where rows are drawn."""


@dataclass(frozen=True)
class Palette:
    """Which colour a series has, everywhere; and which scale speeds need."""

    series: tuple[str, ...]
    logarithmic: bool

    @classmethod
    def of(cls, rows: Points) -> Palette:
        """The palette for these rows."""
        order = {"pynative": 0, "graph": 1, "jit": 2}
        named = {row["series"]: (order.get(row["mode"], 9), row["framework"], row["series"]) for row in rows}
        # The first framework's modes have the first colours.
        speeds = [row["images_per_second"] for row in rows if row["ok"] and row["images_per_second"]]
        wide = bool(speeds) and max(speeds) / min(speeds) > WIDE_RATIO
        return cls(tuple(sorted(named, key=lambda each: (named[each][1], named[each][0], each))), wide)

    @property
    def colour(self) -> Spec:
        """The channel that colours by series."""
        colours = [f"var(--series-{1 + i % SERIES_COLOURS})" for i in range(len(self.series))]
        return {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": list(self.series), "range": colours},
            "legend": {"title": None, "orient": "top", "labelLimit": 240},
        }

    def among(self, points: Points, rows: Points) -> Spec:
        """The same, with only those series in the legend which these points are of."""
        there = {rows[point["i"]]["series"] for point in points}
        values = [series for series in self.series if series in there]
        return {**self.colour, "legend": {**self.colour["legend"], "values": values}}

    @property
    def beside(self) -> Spec:
        """The channel that keeps the series' intervals apart."""
        return {"field": "series", "type": "nominal", "scale": {"domain": list(self.series), "paddingOuter": 0.9}}

    def speed(self, field: str, title: str = "images/s", shared: bool = False) -> Spec:
        """The channel of a speed. `shared`: the axis ends where `SHARED` says, so that panels compare."""
        scale: Spec = {"type": "log", "nice": True} if self.logarithmic else {"zero": True, "nice": True}
        if shared:
            scale = {**scale, "domainMax": {"expr": "top"}}
            if self.logarithmic:
                scale["domainMin"] = {"expr": "bottom"}
        axis = {"format": "~s", "tickCount": 5} if self.logarithmic else {"format": ",.0f", "tickCount": 5}
        return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": axis}


SHARED = [{"name": "top", "value": 1.0}, {"name": "bottom", "value": 0.0}]
"""Ends of the speed axis, set to those of all rows that are drawn."""
FIELD = "images_per_second"
VALID = {"filter": f"datum.ok && isValid(datum.{FIELD})"}


def _speeds(*by: str) -> list[Spec]:
    """Median and interval of the speeds: a single process's quartiles, or the range over several."""
    return [
        VALID,
        {
            "aggregate": [
                {"op": "median", "field": FIELD, "as": "mid"},
                {"op": "min", "field": FIELD, "as": "least"},
                {"op": "max", "field": FIELD, "as": "most"},
                {"op": "min", "field": f"{FIELD}_low", "as": "q1"},
                {"op": "max", "field": f"{FIELD}_high", "as": "q3"},
                {"op": "count", "as": "processes"},
            ],
            "groupby": list(by),
        },
        {"calculate": "datum.processes > 1 ? datum.least : datum.q1", "as": "low"},
        {"calculate": "datum.processes > 1 ? datum.most : datum.q3", "as": "high"},
    ]


def _most(field: str = "mid") -> list[Spec]:
    """Keep the lines with the largest values."""
    return [
        {"window": [{"op": "rank", "as": "rank"}], "sort": [{"field": field, "order": "descending"}]},
        {"filter": f"datum.rank <= {MOST_BARS}"},
    ]


SHAPES = {"title": "accuracy", "orient": "top", "symbolFillColor": "var(--soft)"}


def _tip(*fields: tuple[str, str, str]) -> list[Spec]:
    return [
        {"field": field, "title": title, **({"type": "quantitative", "format": form} if form else {"type": "nominal"})}
        for field, title, form in fields
    ]


SPEED_TIP = (
    ("mid", "images/s", ",.0f"),
    ("low", "from", ",.0f"),
    ("high", "to", ",.0f"),
    ("processes", "processes", ","),
)


def _throughput(palette: Palette, _: Data) -> Chart:
    x = {"field": "batch_size", "type": "ordinal", "title": "batch size", "axis": {"labelAngle": 0}}
    low, high = palette.speed("low", shared=True), {"field": "high"}
    return Chart(
        "throughput",
        "Throughput",
        "Training images a second by batch size, data pipeline included, warm-up left out. A dot is the median over "
        "processes, its line the range over them; with one process, the quartiles of its windows.",
        "rows",
        {
            "params": SHARED,
            "transform": _speeds("series", "batch_size"),
            "encoding": {"x": x, "xOffset": palette.beside, "color": palette.colour},
            "layer": [
                {
                    "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.55},
                    "encoding": {"y": palette.speed("mid", shared=True)},
                },
                {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": {"y": low, "y2": high}},
                {
                    "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
                    "encoding": {
                        "y": palette.speed("mid", shared=True),
                        "tooltip": _tip(("series", "mode", ""), ("batch_size", "batch size", ""), *SPEED_TIP),
                    },
                },
            ],
        },
        panel="place",
    )


def _accuracy(palette: Palette, data: Data) -> Chart:
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
            "encoding": {"x": x, "y": {**y, "field": "median"}},
        },
    ]
    encoding = {
        "x": x,
        "y": {**y, "field": "accuracy", "aggregate": "median"},
        "color": palette.among(data["epochs"], data["rows"]),
    }
    detail = {"field": "label", "type": "nominal"}
    tip = [
        *_tip(("label", "case", ""), ("epoch", "epoch", "d")),
        {"field": "accuracy", "aggregate": "median", "title": "accuracy", "type": "quantitative", "format": ".4f"},
        {"field": "accuracy", "aggregate": "count", "title": "trainings", "type": "quantitative"},
    ]
    lines += [
        {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": {**encoding, "detail": detail}},
        {
            "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
            "encoding": {**encoding, "detail": detail, "tooltip": tip},
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


def _losses(palette: Palette, data: Data) -> Chart:
    x = {"field": "step", "type": "quantitative", "title": "training step", "axis": {"format": ",.0f", "tickCount": 5}}
    y = {"type": "quantitative", "title": "training loss", "scale": {"zero": True}}
    detail = {"field": "label", "type": "nominal"}
    tip = _tip(
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
                    "encoding": {"y": {**y, "field": "mean"}, "tooltip": tip},
                },
            ],
        },
        panel="training",
    )


def _lines(field: str, title: str | None = None) -> Spec:
    """The channel of one line a case, the largest value on top."""
    axis = {"title": title, "ticks": False, "domain": False}
    return {
        "field": field,
        "type": "nominal",
        "axis": axis,
        "sort": {"op": "max", "field": "key", "order": "descending"},
    }


def _times(palette: Palette, data: Data) -> Chart:
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
                *_most("key"),
            ],
            "encoding": {
                "y": _lines("label"),
                "x": {"field": "mid", "type": "quantitative", "title": "seconds", "scale": {"zero": True}},
                "color": palette.among(data["times"], data["rows"]),
                "shape": {"field": "target", "type": "nominal", "legend": SHAPES},
                "tooltip": _tip(
                    *(("label", "case", ""), ("target", "accuracy", ""), ("mid", "seconds", ",.1f")),
                    ("processes", "trainings", ","),
                ),
            },
            "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
        },
        lines="label",
    )


def _step(_: Palette, _data: Data) -> Chart:
    resident = "resident_images_per_second"
    pieces = {"domain": ["training", "waiting for data"], "range": ["var(--piece-1)", "var(--piece-4)"]}
    return Chart(
        "step",
        "Where a step’s time goes",
        "Milliseconds of one training step: what it takes with its batch already on the device, and what is added by "
        "waiting for the data pipeline (1 - images/s over resident images/s). A wait below the noise is drawn as none.",
        "rows",
        {
            "transform": [
                {"filter": f"datum.ok && isValid(datum.{FIELD}) && isValid(datum.{resident})"},
                {
                    "aggregate": [
                        {"op": "median", "field": FIELD, "as": "speed"},
                        {"op": "median", "field": resident, "as": "resident"},
                    ],
                    "groupby": ["label", "batch_size"],
                },
                {"calculate": "-1000 * datum.batch_size / datum.speed", "as": "key"},
                *_most("key"),
                {"calculate": "-datum.key", "as": "whole"},
                {
                    "calculate": "max(0, datum.whole - 1000 * datum.batch_size / datum.resident)",
                    "as": "waiting for data",
                },
                {"calculate": "datum.whole - datum['waiting for data']", "as": "training"},
                {"calculate": "max(0, 1 - datum.speed / datum.resident)", "as": "share"},
                {"fold": ["training", "waiting for data"], "as": ["piece", "ms"]},
            ],
            "mark": {"type": "bar", "height": {"band": 0.62}, "cornerRadiusEnd": 2},
            "encoding": {
                "y": _lines("label"),
                "x": {"field": "ms", "type": "quantitative", "title": "milliseconds a step", "stack": "zero"},
                "color": {
                    "field": "piece",
                    "type": "nominal",
                    "scale": pieces,
                    "legend": {"title": None, "orient": "top"},
                },
                "order": {"field": "piece", "sort": "ascending"},
                "tooltip": _tip(
                    *(("label", "case", ""), ("piece", "", ""), ("ms", "ms", ",.2f"), ("whole", "ms a step", ",.2f")),
                    ("share", "share spent waiting", ".0%"),
                ),
            },
        },
        lines="label",
        needs="resident_images_per_second",
    )


def _phases(_: Palette, _data: Data) -> Chart:
    names = [words for _, words in PHASES]
    colours = [f"var(--piece-{number})" for number in (3, 5, 1, 2, 4, 6)]
    return Chart(
        "phases",
        "Where a process’s time goes",
        "Shares of the worker’s wall time, from the start of its process to its end. Only training is in throughput.",
        "phases",
        {
            "transform": [
                {
                    "aggregate": [{"op": "mean", "field": "seconds", "as": "spent"}],
                    "groupby": ["label", "phase", "order"],
                },
                {"joinaggregate": [{"op": "sum", "field": "spent", "as": "key"}], "groupby": ["label"]},
                {"window": [{"op": "dense_rank", "as": "rank"}], "sort": [{"field": "key", "order": "descending"}]},
                {"filter": f"datum.rank <= {MOST_BARS}"},
                {"calculate": "datum.spent / datum.key", "as": "share"},
            ],
            "mark": {"type": "bar", "height": {"band": 0.62}},
            "encoding": {
                "y": _lines("label"),
                "x": {
                    **{"field": "spent", "type": "quantitative", "title": "share of wall time"},
                    **{"stack": "normalize", "axis": {"format": ".0%"}},
                },
                "color": {
                    **{"field": "phase", "type": "nominal", "scale": {"domain": names, "range": colours}},
                    "legend": {"title": None, "orient": "top", "labelLimit": 240},
                },
                "order": {"field": "order"},
                "tooltip": _tip(
                    *(("label", "case", ""), ("phase", "phase", ""), ("spent", "seconds", ",.2f")),
                    *(("share", "share", ".1%"), ("key", "wall seconds", ",.1f")),
                ),
            },
        },
        lines="label",
    )


def _profiles(palette: Palette, _: Data) -> Chart:
    y = {"field": "way", "type": "nominal", "axis": {"title": None, "ticks": False, "domain": False}}
    y["sort"] = {"op": "max", "field": "mid", "order": "descending"}
    colours = {"range": [f"var(--piece-{number})" for number in (3, 1, 4, 2, 5, 6)]}
    speed = palette.speed("mid")
    return Chart(
        "profiles",
        "As installed against tuned",
        "The same case under each runtime profile: settings that change the speed and not the training. The line is "
        "the gain; default is the framework as installed.",
        "rows",
        {
            "transform": [
                *_speeds("way", "profile"),
                {
                    "joinaggregate": [
                        {"op": "distinct", "field": "profile", "as": "profiles"},
                        {"op": "max", "field": "mid", "as": "best"},
                    ],
                    "groupby": ["way"],
                },
                {"filter": "datum.profiles > 1"},
                {"window": [{"op": "dense_rank", "as": "rank"}], "sort": [{"field": "best", "order": "descending"}]},
                {"filter": f"datum.rank <= {MOST_BARS}"},
            ],
            "encoding": {"y": y},
            "layer": [
                {
                    "mark": {"type": "rule", "color": "var(--ink)", "opacity": 0.25, "strokeWidth": 3},
                    "encoding": {
                        "x": {**speed, "aggregate": "min"},
                        "x2": {"field": "mid", "aggregate": "max"},
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
                    "encoding": {
                        "x": speed,
                        "color": {
                            **{"field": "profile", "type": "nominal", "scale": colours},
                            "legend": {"title": None, "orient": "top", "labelLimit": 300},
                        },
                        "tooltip": _tip(("way", "case", ""), ("profile", "profile", ""), *SPEED_TIP),
                    },
                },
            ],
        },
        lines="way",
        contrast="profile",
    )


def _along(field: str, title: str, sort: Any, palette: Palette, extra: list[Spec]) -> Spec:
    """Speeds along an ordered field."""
    x = {"field": field, "type": "ordinal", "title": title, "sort": sort, "axis": {"labelAngle": 0, "labelLimit": 120}}
    return {
        "params": SHARED,
        "encoding": {"x": x, "xOffset": palette.beside, "color": palette.colour},
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.55},
                "encoding": {"y": palette.speed("mid", shared=True)},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"y": palette.speed("low", shared=True), "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
                "encoding": {
                    "y": palette.speed("mid", shared=True),
                    "tooltip": _tip(("series", "mode", ""), (field, title, ""), *SPEED_TIP),
                },
            },
            *extra,
        ],
    }


def _versions(palette: Palette, data: Data) -> Chart:
    rows = data["rows"]
    names = sorted({row["framework_version"] for row in rows if row["framework_version"]}, key=version_key)
    return Chart(
        "versions",
        "History by version",
        "Images a second under each version of the framework, everything else equal.",
        "rows",
        {
            "transform": _speeds("series", "framework_version"),
            **_along("framework_version", "version", names, palette, []),
        },
        panel="setting",
    )


def _scaling(palette: Palette, _: Data) -> Chart:
    first = [
        {"op": "first_value", "field": "mid", "as": "base"},
        {"op": "first_value", "field": "world_size", "as": "from"},
    ]
    ideal = {
        "mark": {"type": "line", "strokeDash": [2, 4], "strokeWidth": 1.2, "opacity": 0.7},
        "encoding": {"y": palette.speed("ideal")},
    }
    return Chart(
        "scaling",
        "Data-parallel scaling",
        "Images a second of all processes together. The dotted line is what the smallest number of processes would "
        "give if nothing were lost.",
        "rows",
        {
            "transform": [
                *_speeds("series", "world_size"),
                {"window": first, "sort": [{"field": "world_size"}], "groupby": ["series"]},
                {"calculate": "datum.base * datum.world_size / datum.from", "as": "ideal"},
            ],
            **_along("world_size", "processes", "ascending", palette, [ideal]),
        },
        panel="setting",
    )


def _leaders(palette: Palette, _: Data) -> Chart:
    return Chart(
        "leaders",
        "Machines and devices",
        "The fastest case of each machine and device, coloured by its mode.",
        "rows",
        {
            "transform": [
                *_speeds("home", "label", "series"),
                {
                    "window": [{"op": "row_number", "as": "place"}],
                    "sort": [{"field": "mid", "order": "descending"}],
                    "groupby": ["home"],
                },
                {"filter": "datum.place == 1"},
                {"calculate": "datum.mid", "as": "key"},
                *_most("mid"),
            ],
            "mark": {"type": "bar", "height": {"band": 0.62}, "cornerRadiusEnd": 2},
            "encoding": {
                "y": _lines("home"),
                "x": {**palette.speed("mid"), "scale": {"zero": True}},
                "color": palette.colour,
                "tooltip": _tip(("home", "place", ""), ("label", "case", ""), *SPEED_TIP),
            },
        },
        lines="home",
    )


def charts(data: Mapping[str, Points]) -> list[Chart]:
    """The charts for which there are points, in the order in which they are read."""
    rows = data["rows"]
    valid = [row for row in rows if row["ok"] and row[FIELD] is not None]

    def differ(field: str) -> bool:
        return several((row[field] for row in valid), field)

    wanted: list[tuple[bool, Callable[[Palette, Data], Chart]]] = [
        (differ("home"), _leaders),
        (bool(valid), _throughput),
        (differ("profile"), _profiles),
        (any(row["resident_images_per_second"] for row in valid), _step),
        (bool(data["phases"]), _phases),
        (bool(data["epochs"]), _accuracy),
        (bool(data["losses"]), _losses),
        (bool(data["times"]), _times),
        (differ("framework_version"), _versions),
        (differ("world_size"), _scaling),
    ]
    palette = Palette.of(rows)
    return [make(palette, data) for there, make in wanted if there]
