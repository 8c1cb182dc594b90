"""The charts, as Vega-Lite specifications: the page draws them with tooltips and filters, the Markdown as pictures.

A specification names its data (`lenet.report.charts.points`) and holds everything that is computed from it, so that
page and picture cannot differ. Colours are CSS variables: one drawing serves light, dark and print.
"""

from __future__ import annotations

from collections.abc import Callable

from lenet.report.charts import learning, speed, spent
from lenet.report.charts.channels import FIELD, Palette
from lenet.report.charts.chart import LINE_HEIGHT, MOST_BARS, MOST_PANELS, Chart, Data
from lenet.report.table.rows import several

__all__ = ["LINE_HEIGHT", "MOST_BARS", "MOST_PANELS", "Chart", "charts"]


def charts(data: Data) -> list[Chart]:
    """The charts for which there is data, in reading order."""
    rows = data["rows"]
    valid = [row for row in rows if row["ok"] and row[FIELD] is not None]

    def differ(field: str) -> bool:
        return several((row[field] for row in valid), field)

    wanted: list[tuple[bool, Callable[[Palette, Data], Chart]]] = [
        (differ("home"), speed.leaders),
        (bool(valid), speed.throughput),
        (differ("profile"), speed.profiles),
        (any(row["resident_images_per_second"] for row in valid), spent.step),
        (bool(data["phases"]), spent.phases),
        (bool(data["epochs"]), learning.accuracy),
        (bool(data["losses"]), learning.losses),
        (bool(data["times"]), learning.times),
        (differ("framework_version"), speed.versions),
        (differ("world_size"), speed.scaling),
    ]
    palette = Palette.of(rows)
    return [make(palette, data) for there, make in wanted if there]
