"""Axes, colours, transforms and tooltips that charts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lenet.cases.axes import axis
from lenet.report.charts.chart import DIVIDED, LABEL_LINE, MOST_BARS, Spec
from lenet.report.charts.labels import Points

SERIES_COLOURS = 8
LEGEND: Spec = {"title": None, "orient": "top"}
WIDE_RATIO = 40
"""Speeds that lie further apart than this are drawn on a logarithmic axis."""


POWER_OF_TEN = "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-9"


def nominal(field: str, **options: Any) -> Spec:
    """The channel of a field that holds words."""
    return {"field": field, "type": "nominal", **options}


def quantitative(field: str, title: str | None = None, **options: Any) -> Spec:
    """The channel of a field that holds figures; `title` is its axis's."""
    return {"field": field, "type": "quantitative", "title": title, **options}


@dataclass(frozen=True)
class Palette:
    """Which colour a series has, everywhere; and which scale speeds need."""

    series: tuple[str, ...]
    logarithmic: bool

    @classmethod
    def of(cls, rows: Points) -> Palette:
        """The palette for these rows."""
        # The first framework's modes have the first colours.
        order = {row["series"]: (row["framework"], axis("mode").rank(row["mode"]), row["series"]) for row in rows}
        speeds = [row["images_per_second"] for row in rows if row["ok"] and row["images_per_second"]]
        wide = bool(speeds) and max(speeds) / min(speeds) > WIDE_RATIO
        return cls(tuple(sorted(order, key=order.__getitem__)), wide)

    @property
    def colour(self) -> Spec:
        """The channel that colours by series. A test keeps more colours than ways of training."""
        colours = [f"var(--series-{1 + i % SERIES_COLOURS})" for i in range(len(self.series))]
        scale = {"domain": list(self.series), "range": colours}
        return nominal("series", scale=scale, legend={**LEGEND, "labelLimit": 240})

    @property
    def beside(self) -> Spec:
        """The channel that keeps the series' intervals apart."""
        return nominal("series", scale={"domain": list(self.series), "paddingOuter": 0.9})

    def speed(self, field: str, title: str = "images/s", shared: bool = False) -> Spec:
        """The channel of a speed. `shared`: the axis ends where `SHARED` says, so that panels compare."""
        scale: Spec = {"type": "log", "nice": False, "padding": 8} if self.logarithmic else {"zero": True, "nice": True}
        if shared:
            scale["domainMax"] = {"expr": "top"}
            if self.logarithmic:
                scale["domainMin"] = {"expr": "bottom"}
        ticks: Spec = {"format": "~s" if self.logarithmic else ",.0f", "tickCount": 5}
        if self.logarithmic:  # a line for every digit would hide the figures: those between powers of ten are pale
            ticks["gridOpacity"] = {"condition": {"test": POWER_OF_TEN, "value": 1}, "value": 0.3}
        return quantitative(field, title, scale=scale, axis=ticks)


SHARED = [{"name": "top", "value": 1.0}, {"name": "bottom", "value": 0.0}]
"""Ends of the speed axis, set to those of all rows that are drawn."""
FIELD = "images_per_second"
SUMMARY = (("median", "mid"), ("min", "least"), ("max", "most"))
VALID = {"filter": f"datum.ok && isValid(datum.{FIELD})"}


def speeds(*by: str) -> list[Spec]:
    """Median and interval of the speeds: a single process's quartiles, or the range over several."""
    return [
        VALID,
        {
            "aggregate": [
                *({"op": op, "field": FIELD, "as": name} for op, name in SUMMARY),
                {"op": "min", "field": f"{FIELD}_low", "as": "q1"},
                {"op": "max", "field": f"{FIELD}_high", "as": "q3"},
                {"op": "count", "as": "processes"},
            ],
            "groupby": list(by),
        },
        {"calculate": "datum.processes > 1 ? datum.least : datum.q1", "as": "low"},
        {"calculate": "datum.processes > 1 ? datum.most : datum.q3", "as": "high"},
    ]


def largest(field: str, line: str, op: Literal["rank", "dense_rank"] = "rank") -> list[Spec]:
    """Keep the lines with the largest values; `dense_rank` where a line has several points of one value.

    `line` names the lines' field: of lines with the same value the first by name are kept, not all.
    """
    order = [{"field": field, "order": "descending"}, {"field": line, "order": "ascending"}]
    return [
        {"window": [{"op": op, "as": "rank"}], "sort": order},
        {"filter": f"datum.rank <= {MOST_BARS}"},
    ]


def tip(*entries: str) -> list[Spec]:
    """A tooltip: `FIELD:TITLE` for each field of words, `FIELD:TITLE:FORMAT` for each of figures."""
    fields = (entry.split(":") for entry in entries)
    return [
        quantitative(field, title, format=form[0]) if form else nominal(field, title=title)
        for field, title, *form in fields
    ]


SPEED_TIP = ("mid:images/s:,.0f", "low:from:,.0f", "high:to:,.0f", "processes:processes:,")


def line_each(field: str, by: str = "key") -> Spec:
    """The channel of one line a value of `field`, the one with the largest `by` on top."""
    axis = {
        "title": None,
        "ticks": False,
        "domain": False,
        "labelLimit": 0,
        "labelExpr": WRAPPED,
        "labelOffset": CENTRED,
    }
    return nominal(field, axis=axis, sort={"op": "max", "field": by, "order": "descending"})


WRAPPED = f"split(trim(replace(datum.label, regexp('{DIVIDED}', 'g'), '$1\\n')), '\\n')"
"""A label in lines of `LABEL_WIDTH` characters."""
CENTRED = {
    "condition": [
        {"test": f"length({WRAPPED}) === {lines}", "value": (1 - lines) * LABEL_LINE / 2} for lines in range(2, 9)
    ],
    "value": 0,
}
"""Moves a label of several lines up, so that its middle is beside its bar."""


def dot(size: int, **encoding: Any) -> Spec:
    """A layer, or a chart, of filled dots of `size` square pixels."""
    return {"mark": {"type": "point", "filled": True, "size": size, "opacity": 1}, "encoding": encoding}


def bars(**encoding: Any) -> Spec:
    """A chart of horizontal bars."""
    return {"mark": {"type": "bar", "height": {"band": 0.62}, "cornerRadiusEnd": 2}, "encoding": encoding}
