"""The charts, as Vega-Lite specifications: the page draws them with tooltips and filters, the Markdown as pictures.

A specification names its data (`lenet.report.charts.points`) and holds everything that is computed from it, so that
page and picture cannot differ. Colours are CSS variables: one drawing serves light, dark and print.
"""

from __future__ import annotations

from lenet.report.charts import learning, speed, spent
from lenet.report.charts.channels import Palette
from lenet.report.charts.chart import LABEL_LINE, LABEL_WIDTH, LINE_HEIGHT, MOST_BARS, MOST_PANELS, Chart, Data

__all__ = ["LABEL_LINE", "LABEL_WIDTH", "LINE_HEIGHT", "MOST_BARS", "MOST_CHARTS", "MOST_PANELS", "Chart", "charts"]

MOST_CHARTS = 6
"""Charts that a reader sees at first, the matrix of speeds included; the page folds the others away."""

ANSWERS = (speed.profiles, speed.versions, learning.accuracy, speed.scaling, speed.leaders, speed.throughput)
DETAILS = (spent.step, learning.losses, learning.times, spent.phases)


def charts(data: Data) -> list[Chart]:
    """The charts for which there is data, those that compare what a reader chooses between first."""
    palette = Palette.of(data["rows"])
    made = [make(palette, data) for make in (*ANSWERS, *DETAILS)]
    return [chart for chart in made if chart.drawn(data)]
