"""The theme of all charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

COLOURS: Mapping[str, tuple[str, str]] = {
    "ink": ("#24292f", "#e6e9ed"),
    "soft": ("#5b6570", "#a2abb5"),
    "grid": ("#e3e6ea", "#30363d"),
    "series-1": ("#c0562b", "#f0a07a"),
    "series-2": ("#0b7285", "#5cc8dc"),
    "series-3": ("#6741a5", "#b99cf0"),
    "series-4": ("#8a6d00", "#e0c04c"),
    "series-5": ("#2b7a3d", "#7fd08f"),
    "series-6": ("#b02a66", "#f08fb8"),
    "series-7": ("#3b5bdb", "#91a7ff"),
    "series-8": ("#5f6b77", "#b4bdc6"),
    "piece-1": ("#0b7285", "#5cc8dc"),
    "piece-2": ("#6741a5", "#b99cf0"),
    "piece-3": ("#8b96a2", "#77828d"),
    "piece-4": ("#d9822b", "#f3b36b"),
    "piece-5": ("#b02a66", "#f08fb8"),
    "piece-6": ("#c9ced4", "#4a525b"),
}
"""Every colour of a report on light and on dark, with a contrast of at least 3:1 for what carries meaning."""


def config(font: str) -> dict[str, Any]:
    """The Vega-Lite configuration: quiet axes, no frame, colours by CSS variable."""
    return {
        "background": "transparent",
        "font": font,
        "view": {"stroke": None},
        "axis": {
            "labelColor": "var(--soft)", "titleColor": "var(--soft)", "gridColor": "var(--grid)",
            "domainColor": "var(--grid)", "tickColor": "var(--grid)", "titleFontWeight": "normal",
            "labelFontSize": 12, "titleFontSize": 12, "labelPadding": 6, "titlePadding": 10,
        },
        "axisX": {"grid": False},
        "axisY": {"labelLimit": 280},
        "axisQuantitative": {"grid": True, "domain": False, "ticks": False},
        "legend": {
            "labelColor": "var(--ink)", "titleColor": "var(--soft)", "labelFontSize": 12, "titleFontSize": 12,
            "titleFontWeight": "normal", "symbolStrokeWidth": 2, "rowPadding": 4, "columnPadding": 16, "offset": 12,
            "symbolOpacity": 1, "symbolType": "circle",
        },
        "point": {"strokeWidth": 0},
        "aria": True,
    }  # fmt: skip


def variables(ground: Literal["light", "dark"]) -> str:
    """The colours on that background as CSS variables."""
    return "".join(f"--{name}:{dark if ground == 'dark' else light};" for name, (light, dark) in COLOURS.items())
