"""How fast: by batch size, profile, version and number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lenet.cases.values import version_order
from lenet.report.charts.channels import (
    LEGEND,
    SHARED,
    SPEED_TIP,
    Palette,
    dot,
    largest,
    line_each,
    nominal,
    speeds,
    tip,
)
from lenet.report.charts.chart import Chart, Data, Spec


def _along(field: str, title: str, palette: Palette, *, sort: Any = "ascending", extra: Sequence[Spec] = ()) -> Spec:
    """Speeds along an ordered field: a dot with its interval a series, joined by a line."""
    x = {"field": field, "type": "ordinal", "title": title, "sort": sort, "axis": {"labelAngle": 0, "labelLimit": 120}}
    mid, low = (palette.speed(each, shared=True) for each in ("mid", "low"))
    tooltip = tip("series:mode", f"{field}:{title}", *SPEED_TIP)
    return {
        "params": SHARED,
        "encoding": {"x": x, "xOffset": palette.beside, "color": palette.colour},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.55}, "encoding": {"y": mid}},
            {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": {"y": low, "y2": {"field": "high"}}},
            dot(75, y=mid, tooltip=tooltip),
            *extra,
        ],
    }


def throughput(palette: Palette, _: Data) -> Chart:
    """Images/s by batch size; a panel a place: machine, device, settings and profile."""
    return Chart(
        "throughput",
        "Throughput",
        "Training images per second by batch size, data pipeline included, warm-up omitted. A dot is the median over "
        "processes, its line the range over them; with one process, the quartiles of its windows.",
        "rows",
        {"transform": speeds("series", "batch_size"), **_along("batch_size", "batch size", palette)},
        panel="place",
        contrast="batch_size",
    )


ROLES = {"as installed": "var(--piece-4)", "the best profile": "var(--piece-1)", "another profile": "var(--piece-3)"}


def profiles(palette: Palette, _: Data) -> Chart:
    """Images/s of a case as installed and under the best of its profiles, a line a case."""
    best = [{"op": "max", "field": "mid", "as": "best"}]
    role = "datum.profile === 'default' ? 'as installed' : datum.mid === datum.best ? 'the best profile' : "
    speed = palette.speed("mid")
    ends = {"x": {**speed, "aggregate": "min"}, "x2": {"field": "mid", "aggregate": "max"}}
    point = dot(
        110,
        x=speed,
        color=nominal("role", scale={"domain": list(ROLES), "range": list(ROLES.values())}, legend=LEGEND),
        tooltip=tip("way:case", "profile:profile", *SPEED_TIP),
    )
    return Chart(
        "profiles",
        "As installed against tuned",
        "The same case as installed and under other runtime profiles: settings that change the speed and not the "
        "training. The line is the gain.",
        "rows",
        {
            "transform": [
                *speeds("way", "profile"),
                {"joinaggregate": best, "groupby": ["way"]},
                {"calculate": f"{role}'another profile'", "as": "role"},
                *largest("best", "way", op="dense_rank"),
            ],
            "encoding": {"y": line_each("way", by="mid")},
            "layer": [
                {"mark": {"type": "rule", "color": "var(--ink)", "opacity": 0.25, "strokeWidth": 3}, "encoding": ends},
                point,
            ],
        },
        lines="way",
        contrast="profile",
        base="default",
    )


def versions(palette: Palette, data: Data) -> Chart:
    """Images/s by version of the framework; a panel for everything else."""
    rows = data["rows"]
    names = sorted({row["framework_version"] for row in rows if row["framework_version"]}, key=version_order)
    return Chart(
        "versions",
        "History by version",
        "Images per second under each version of the framework, everything else equal.",
        "rows",
        {
            "transform": speeds("series", "framework_version"),
            **_along("framework_version", "version", palette, sort=names),
        },
        panel="release",
        contrast="framework_version",
    )


def scaling(palette: Palette, _: Data) -> Chart:
    """Images/s by number of processes, beside the ideal; a panel for everything else."""
    first = [
        {"op": "first_value", "field": field, "as": name} for field, name in (("mid", "base"), ("world_size", "from"))
    ]
    ideal = {
        "mark": {"type": "line", "strokeDash": [2, 4], "strokeWidth": 1.2, "opacity": 0.7},
        "encoding": {"y": palette.speed("ideal")},
    }
    return Chart(
        "scaling",
        "Data-parallel scaling",
        "Images per second of all processes together. The dotted line is what the smallest number of processes would "
        "give if nothing were lost.",
        "rows",
        {
            "transform": [
                *speeds("series", "world_size"),
                {"window": first, "sort": [{"field": "world_size"}], "groupby": ["series"]},
                {"calculate": "datum.base * datum.world_size / datum.from", "as": "ideal"},
            ],
            **_along("world_size", "processes", palette, extra=[ideal]),
        },
        panel="parallel",
        contrast="world_size",
    )
