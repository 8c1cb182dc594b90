"""The charts, as Vega-Lite specifications: the page draws them with tooltips and filters, the Markdown as pictures.

A specification names its data (`lenet.report.charts.points`) and holds everything that is computed from it, so that
page and picture cannot differ. Colours are CSS variables: one drawing serves light, dark and print.
"""

from __future__ import annotations

from collections.abc import Sequence

from lenet.report.charts import learning, speed, spent
from lenet.report.charts.channels import Palette
from lenet.report.charts.chart import Chart, Data
from lenet.report.charts.labels import Points

MAKERS = (
    *(speed.profiles, speed.versions, learning.accuracy, speed.scaling, speed.throughput),
    *(spent.step, learning.losses, spent.phases),
)
"""In the order of the page. With the speeds' matrices at most six are seen at first."""


def charts(data: Data) -> list[tuple[Chart, Points]]:
    """The charts for which there is data, with it; those that compare what a reader chooses between first."""
    palette = Palette.of(data["rows"])
    made = [make(palette, data) for make in MAKERS]
    return [(chart, points) for chart in made if (points := chart.points(data))]


def first(drawn: Sequence[tuple[Chart, Points]]) -> list[tuple[Chart, Points]]:
    """Those that a reader sees at first; the page folds the others away. Where none answers a question, all."""
    return [each for each in drawn if not each[0].detail] or list(drawn)
