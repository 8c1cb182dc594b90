"""The datasets that have names of their own."""

from __future__ import annotations

from lenet.store.record import DatasetCard

KNOWN = {
    card.name: card
    for card in (
        DatasetCard(
            name="mnist",
            sha256="b2d8f5bf39174ee5ffeefa97e42d673c35432b411bb5d1f74fbbeddae7f1690a",
            training_images=60_000,
            test_images=10_000,
        ),
        DatasetCard(
            name="digits",
            sha256="f4612983cad0100933bc8caf939ebed9f075bab9599a65c8ca73abaa406f8267",
            training_images=1_285,
            test_images=512,
        ),
    )
}
"""By name. The digests are those of `lenet.dataset.files.digest`."""
