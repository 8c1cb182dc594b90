"""The results of `lenet-bench reproduce`: verdicts on a record's claims, and published figures beside measured ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby

from lenet.analysis.published import PublishedResult
from lenet.analysis.reproduce import Claim
from lenet.cases.claims import Publication, PublishedFigure, Quantity
from lenet.report.layout import DASH, number, shortened, wrapped
from lenet.report.table.words import count

MOST_DIFFERENCES = 12
INDENT = " " * 27
"""Below the claims' names and verdicts."""


def reproduce_text(claims: Iterable[Claim], differences: Sequence[tuple[str, str, str]]) -> str:
    """Claims by case. `differences` are names of conditions with their values then and here."""
    lines = []
    for case_id, members in groupby(claims, key=lambda claim: claim.case_id):
        lines.append(wrapped(case_id))
        for claim in members:
            first = f"  {shortened(claim.name, 11):<11} {claim.verdict.value:<12} "
            lines.append(wrapped(claim.figures, first, INDENT))
    for name, then, here in differences[:MOST_DIFFERENCES]:
        lines.append(wrapped(f"differs: {name}: {then} then, {here} here", rest="  "))
    return "\n".join(lines) + "\n"


def published_words(figure: PublishedFigure) -> str:
    """What was published, as `test accuracy after epoch 2`."""
    words = figure.quantity.value
    if figure.epoch is not None:
        words += f" after epoch {figure.epoch}"
    return f"{words} ({figure.note})" if figure.note else words


def published_value(figure: PublishedFigure) -> str:
    """The published value or range."""
    low, high = (number(value, _digits(figure)) for value in (figure.low, figure.high))
    return low if figure.low == figure.high else f"{low} to {high}"


def measured_value(result: PublishedResult) -> str:
    """The measured mean, with the interval of one more training."""
    if result.measured is None:
        return DASH
    digits = _digits(result.figure)
    text = number(result.measured, digits)
    if result.low is not None and result.high is not None:
        text += f" ({number(result.low, digits)} to {number(result.high, digits)})"
    return text


def _digits(figure: PublishedFigure) -> int:
    return {Quantity.ACCURACY: 4, Quantity.IMAGES_PER_SECOND: 0}.get(figure.quantity, 2)


def published_text(publication: Publication, results: Sequence[PublishedResult]) -> str:
    """The publication, then a paragraph for each of its figures."""
    lines = [wrapped(f"{publication.name}: {publication.title}", rest="  ")]
    lines.append(wrapped(f"source: {publication.source}", "  ", "    "))
    if publication.not_stated:
        lines.append(wrapped(f"not stated there: {', '.join(publication.not_stated)}", "  ", "    "))
    for result in results:
        lines.append(wrapped(f"{published_words(result.figure)}: {result.verdict.value}"))
        lines.append(wrapped(f"published {published_value(result.figure)}", "  ", "    "))
        measured = f"measured {measured_value(result)}, {count(result.trainings, 'training')}"
        lines.append(wrapped(f"{measured}: {result.why}", "  ", "    "))
    return "\n".join(lines) + "\n"


def publications_json(publications: Iterable[Publication]) -> str:
    """Each publication as in its file, with its name."""
    return json.dumps([each.model_dump(mode="json", exclude_defaults=True) for each in publications], indent=1) + "\n"


def publications_text(publications: Iterable[Publication]) -> str:
    """Names and titles."""
    lines = []
    for each in publications:
        figures = ", ".join(dict.fromkeys(published_words(figure) for figure in each.figures))
        lines.append(wrapped(each.name))
        lines += [wrapped(words, "  ", "    ") for words in (each.title, f"source: {each.source}", figures)]
    return "\n".join(lines) + "\n"
