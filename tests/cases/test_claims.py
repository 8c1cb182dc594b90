"""Publications: those of the package, and a stranger's file."""

import pytest

from lenet.cases.claims import Quantity, load_publication, publications
from lenet.errors import UsageError

GOOD = """
title = "A page"
source = "https://example.org"
[matrix]
batch_sizes = [32]
[matrix.plan]
epochs = 2
[[figures]]
quantity = "test accuracy"
epoch = 2
low = 0.9
"""


def test_the_tutorial_is_among_those_of_the_package():
    by_name = {publication.name: publication for publication in publications()}
    tutorial = by_name["tutorial"]
    assert tutorial.same_training
    assert tutorial.matrix.plan.epochs == 10
    assert [(figure.epoch, figure.low, figure.high) for figure in tutorial.figures] == [
        (2, 0.956, 0.956),
        (10, 0.987, 0.989),
        (None, 4.6, 5.3),
    ]
    assert len(by_name) >= 6


@pytest.mark.parametrize("publication", publications(), ids=lambda publication: publication.name)
def test_each_names_what_it_leaves_out_and_gives_cases(publication):
    assert publication.not_stated
    assert publication.matrix.name == publication.name
    assert len({case.hyperparameters.seed for case in publication.matrix.cases()}) >= 3


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    publication = load_publication(str(path))
    assert (publication.name, publication.figures[0].quantity) == ("mine", Quantity.ACCURACY)
    assert publication.figures[0].high == 0.9


def test_neither_a_name_nor_a_toml_file():
    assert load_publication("results/run") is None


def test_images_per_second_need_no_second_epoch(tmp_path):
    """They are of the steps after the warm-up."""
    path = tmp_path / "mine.toml"
    figure = GOOD.partition("[[figures]]")[0] + '[[figures]]\nquantity = "images per second"\nlow = 900\n'
    path.write_text(figure.replace("epochs = 2", "epochs = 1"))
    publication = load_publication(str(path))
    assert publication.figures[0].quantity is Quantity.IMAGES_PER_SECOND


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("low = 0.9", "low = 90", "a share up to 1"),
        ("epoch = 2", "epoch = 3", "the matrix trains 2"),
        ("epoch = 2\nlow", "low", "the epoch after which"),
        ("low = 0.9", "low = 0.9\nhigh = 0.8", "is below low"),
        ("low = 0.9", "low = nan", "figures.0.low"),
        ("epochs = 2", "windows = 2", "has no epochs"),
        (
            'epochs = 2\n[[figures]]\nquantity = "test accuracy"\nepoch = 2',
            'epochs = 1\n[[figures]]\nquantity = "seconds per epoch"',
            "two epochs",
        ),
        (
            'epochs = 2\n[[figures]]\nquantity = "test accuracy"\nepoch = 2',
            'epochs = 1\n[[figures]]\nquantity = "milliseconds per step"',
            "two epochs",
        ),
        ("[matrix]", "colour = 1\n[matrix]", "colour"),
        ("batch_sizes = [32]", "batch_sizes = [0]", "batch_sizes"),
        ('title = "A page"', "title = [", "is not TOML"),
        ('"test accuracy"', '"beauty"', "quantity"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, before, after, message):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(before, after, 1))
    with pytest.raises(UsageError, match=message) as raised:
        load_publication(str(path))
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there():
    with pytest.raises(UsageError, match="cannot read"):
        load_publication("nowhere.toml")
