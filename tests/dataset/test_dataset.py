"""Datasets by name: digits, local folders in every layout, MNIST."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lenet.dataset import at_hand, resolve
from lenet.dataset.digits import contents
from lenet.dataset.download import Downloader, Mirror
from lenet.dataset.files import NAMES, digest
from lenet.dataset.idx import images_bytes, labels_bytes, read_images, read_labels
from lenet.dataset.known import KNOWN
from lenet.errors import CacheError, DatasetError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def files():
    generator = np.random.default_rng(7)
    made = {}
    for name, count in zip(NAMES, (40, 40, 20, 20), strict=True):
        if "images" in name:
            made[name] = images_bytes(generator.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        else:
            made[name] = labels_bytes(generator.integers(0, 10, count, dtype=np.uint8))
    return made


def lay(folder, files, inner="", flat=False, packed=False, dotted=False):
    for name, data in files.items():
        part, base = name.split("/")
        if dotted:
            base = base.replace("-idx", ".idx")
        path = folder / inner / ("" if flat else part) / (base + (".gz" if packed else ""))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


class TestDigits:
    def test_they_are_the_known_ones(self):
        assert digest(contents()) == "f4612983cad0100933bc8caf939ebed9f075bab9599a65c8ca73abaa406f8267"

    def test_they_are_handwritten_digits_in_mnists_shape(self):
        dataset = resolve("digits")
        images = read_images(dataset.folder / NAMES[0])
        labels = read_labels(dataset.folder / NAMES[1])
        test = read_labels(dataset.folder / NAMES[3])
        assert (len(images), len(test)) == (1285, 512)
        assert images.max() == 255
        assert np.bincount(labels).min() > 100
        assert np.bincount(test).min() > 40
        # Digits of one class look alike: the nearest class mean is right far more often than one time in ten.
        means = np.stack([images[labels == each].mean(0) for each in range(10)]).reshape(10, -1)
        flat = read_images(dataset.folder / NAMES[2]).reshape(512, -1).astype(float)
        nearest = ((flat[:, None] - means[None]) ** 2).sum(-1).argmin(1)
        assert (nearest == test).mean() > 0.8

    def test_no_image_is_in_both_parts(self):
        dataset = resolve("digits")
        training = {image.tobytes() for image in read_images(dataset.folder / NAMES[0])}
        assert not any(image.tobytes() in training for image in read_images(dataset.folder / NAMES[2]))

    def test_a_damaged_cache_is_made_again(self):
        dataset = resolve("digits")
        (dataset.folder / NAMES[0]).write_bytes(b"damaged")
        assert resolve("digits").card == dataset.card
        assert len(read_images(dataset.folder / NAMES[0])) == 1285

    def test_two_processes_at_once(self, cache):
        script = "from lenet.dataset import resolve; print(resolve('digits').card.sha256)"
        racers = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(3)]
        answers = {racer.communicate(timeout=60)[0].strip() for racer in racers}
        assert answers == {digest(contents())}
        assert not list(cache.rglob("*.tmp"))


class TestLocal:
    @pytest.mark.parametrize("inner", ["", "MNIST_Data", "MNIST/raw"])
    @pytest.mark.parametrize("flat", [False, True])
    @pytest.mark.parametrize("packed", [False, True])
    @pytest.mark.parametrize("dotted", [False, True])
    def test_every_layout_is_the_same_data(self, tmp_path, files, inner, flat, packed, dotted):
        dataset = resolve("auto", lay(tmp_path / "shirts", files, inner, flat, packed, dotted))
        assert dataset.card.name == f"shirts@{digest(files)[:12]}"
        assert (dataset.card.training_images, dataset.card.test_images) == (40, 20)
        for name, data in files.items():
            assert (dataset.folder / name).read_bytes() == data

    @pytest.mark.parametrize("name", ["mnist", "MNIST", "MNIST_Data", "my-mnist", "digits", "auto", "raw"])
    def test_a_name_that_lies_is_not_shown(self, tmp_path, files, name):
        folder = lay(tmp_path / name, files)
        assert resolve("auto", folder).card.name == f"data@{digest(files)[:12]}"
        with pytest.raises(DatasetError, match="not mnist"):
            resolve("mnist", folder)

    @pytest.mark.parametrize("inner", ["FashionMNIST/raw", "KMNIST/raw", "MNIST/raw"])
    @pytest.mark.parametrize("packed", [False, True])
    def test_torchvisions_folders(self, tmp_path, files, inner, packed):
        lay(tmp_path / "data", files, inner, flat=True, packed=packed)
        name = inner.split("/")[0]
        for folder in (tmp_path / "data", tmp_path / "data" / name):
            found = resolve("auto", folder).card
            assert found.sha256 == digest(files)
            assert found.name.split("@")[0] == ("data" if name == "MNIST" else name)

    @pytest.mark.parametrize("inner", ["fashion", "MNIST_data", "a b/\udcff", "Fashion/mnist"])
    def test_one_folder_below_that_has_them(self, tmp_path, files, inner):
        folder = lay(tmp_path / "downloads", files, inner)
        (folder / "notes.txt").touch()
        (folder / ".git" / "train").mkdir(parents=True)
        assert resolve("auto", folder).card.sha256 == digest(files)
        lay(folder, files, ".hidden")
        assert resolve("auto", folder).card.sha256 == digest(files)

    def test_the_folder_itself_comes_first_and_deep_below_nothing_is_looked_for(self, tmp_path, files):
        folder = lay(tmp_path / "downloads", files, "a/b/c")
        with pytest.raises(DatasetError, match="does not hold train-images-idx3-ubyte"):
            resolve("auto", folder)
        other = {name: data[:-784] + bytes(784) if "images" in name else data for name, data in files.items()}
        assert resolve("auto", lay(folder, other)).card.sha256 == digest(other)

    def test_two_of_them_in_one_folder(self, tmp_path, files):
        lay(lay(tmp_path / "data", files, "FashionMNIST/raw", True), files, "KMNIST/raw", True)
        with pytest.raises(DatasetError, match=r"FashionMNIST/raw and .*KMNIST/raw hold data: point --data-dir at one"):
            resolve("auto", tmp_path / "data")

    @pytest.mark.parametrize(
        ("inner", "file"),
        [
            ("EMNIST/raw", "emnist-letters-train-images-idx3-ubyte"),
            ("", "emnist-digits-test-images-idx3-ubyte.gz"),
            ("gzip", "emnist-balanced-train-labels-idx1-ubyte.gz"),
            ("QMNIST/raw", "qmnist-train-labels-idx2-int.gz"),
            ("cifar-10-batches-py", "data_batch_1"),
            ("datasets", "mnist.npz"),
            ("mnist", "train-00000-of-00001.parquet"),
            ("mnist/3.0.1", "mnist-train.tfrecord-00000-of-00001"),
            ("", "mnist_train.csv"),
        ],
    )
    def test_other_data_is_refused_by_name(self, tmp_path, inner, file):
        folder = tmp_path / "data" / inner
        folder.mkdir(parents=True)
        (folder / file).write_bytes(b"")
        name = {"e": "EMNIST", "q": "QMNIST", "d": "CIFAR"}.get(file[0], "a ")
        with pytest.raises(DatasetError, match=f"holds {name}.*, which is not read, because .*convert"):
            resolve("auto", tmp_path / "data")

    @pytest.mark.parametrize("packed", [False, True])
    def test_where_it_lies_is_remembered_on_this_machine(self, tmp_path, files, packed, monkeypatch, cache):
        folder = lay(tmp_path / "shirts", files, packed=packed)
        monkeypatch.chdir(tmp_path)
        name = resolve("auto", Path("shirts")).card.name
        monkeypatch.chdir("/")
        assert resolve(name).card.name == name
        assert resolve(f"renamed@{name.partition('@')[2]}").card.sha256 == digest(files)
        for path in folder.rglob("*-labels*"):
            path.unlink()
        if packed:  # the cache has a copy
            assert resolve(name).card.sha256 == digest(files)
        else:
            with pytest.raises(DatasetError, match="name that folder with --data-dir"):
                resolve(name)

    @pytest.mark.parametrize("packed", [False, True])
    def test_verify_finds_it_too(self, tmp_path, files, packed):
        card = resolve("auto", lay(tmp_path / "shirts", files, packed=packed)).card
        assert at_hand(card).card.sha256 == card.sha256

    def test_a_copy_of_mnist_in_the_cache_is_mnist(self, tmp_path, files, monkeypatch):
        """The folder was unpacked to the cache, and is gone."""
        card = resolve("auto", lay(tmp_path / "shirts", files, packed=True)).card
        for path in (tmp_path / "shirts").rglob("*-labels*"):
            path.unlink()
        monkeypatch.setitem(KNOWN, "mnist", card.model_copy(update={"name": "mnist"}))
        assert resolve("auto").card.name == "mnist"
        assert resolve("mnist").card.sha256 == card.sha256

    def test_a_remembered_folder_that_has_other_data_by_now_is_not_used(self, tmp_path, files):
        name = resolve("auto", lay(tmp_path / "shirts", files)).card.name
        files[NAMES[1]] = labels_bytes(np.ones(40, np.uint8))
        lay(tmp_path / "shirts", files)
        with pytest.raises(DatasetError, match="name that folder with --data-dir"):
            resolve(name)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"folder": 3}', '{"folder": "\\u0000"}', '{"folder": "/"}'])
    def test_a_damaged_memory_is_none(self, tmp_path, files, cache, content):
        name = resolve("auto", lay(tmp_path / "shirts", files)).card.name
        (kept,) = (cache / "folders").iterdir()
        kept.write_text(content)
        with pytest.raises(DatasetError, match="name that folder with --data-dir"):
            resolve(name)

    def test_nothing_is_remembered_where_the_cache_cannot_be_written(self, tmp_path, files, cache):
        cache.write_text("")
        assert resolve("auto", lay(tmp_path / "shirts", files)).card.training_images == 40

    def test_its_own_name_is_accepted_when_a_run_is_resumed(self, tmp_path, files):
        folder = lay(tmp_path / "shirts", files)
        name = resolve("auto", folder).card.name
        assert resolve(name, folder).card.name == name
        with pytest.raises(DatasetError, match="--data-dir"):
            resolve("shirts@0123456789ab")

    def test_characters_of_a_folders_name_are_replaced(self, tmp_path, files):
        name = resolve("auto", lay(tmp_path / "a <b>|c", files, packed=True)).card.name
        assert name.startswith("a__b__c@")

    def test_a_missing_file_is_named(self, tmp_path, files):
        folder = lay(tmp_path / "x", files)
        (folder / NAMES[2]).unlink()
        with pytest.raises(DatasetError, match="t10k-images-idx3-ubyte"):
            resolve("auto", folder)

    def test_two_spellings_are_ambiguous(self, tmp_path, files):
        folder = lay(lay(tmp_path / "x", files), files, dotted=True)
        with pytest.raises(DatasetError, match="keep one"):
            resolve("auto", folder)

    def test_the_numbers_of_images_and_labels_must_be_equal(self, tmp_path, files):
        files[NAMES[1]] = labels_bytes(np.zeros(39, np.uint8))
        with pytest.raises(DatasetError, match=r"40 images and .* 39 labels"):
            resolve("auto", lay(tmp_path / "x", files))

    def test_no_folder(self, tmp_path):
        with pytest.raises(DatasetError, match="not a folder"):
            resolve("auto", tmp_path / "nowhere")

    def test_the_real_mnist_is_recognised(self, mnist):
        assert mnist.card.name == "mnist"
        assert (mnist.card.training_images, mnist.card.test_images) == (60_000, 10_000)
        assert (np.bincount(read_labels(mnist.folder / NAMES[3]))[1]) == 1135


def test_an_unknown_name():
    with pytest.raises(DatasetError, match="choose from auto, mnist, digits"):
        resolve("cifar")


def test_without_network_auto_is_the_digits_with_a_warning():
    nowhere = Downloader(mirrors=(Mirror("https://nowhere.invalid/"), Mirror("https://127.0.0.1:1/")))
    said = []
    dataset = resolve("auto", warn=said.append, downloader=nowhere)
    assert dataset.card.name == "digits"
    assert len(said) == 1
    assert "NOT MNIST" in said[0]
    with pytest.raises(DatasetError, match=r"no connection.*--data-dir.*--dataset digits"):
        resolve("mnist", downloader=nowhere)


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CacheError, match="LENET_BENCH_CACHE"):
        resolve("digits")


def test_the_digest_is_over_the_files_in_their_order(files):
    whole = b"".join(files[name] for name in NAMES)
    assert digest(files) == hashlib.sha256(whole).hexdigest()


def test_a_fall_back_to_the_digits_is_a_python_warning():
    class Offline:
        def mnist(self, progress):
            raise DatasetError("no mirror answers")

    with pytest.warns(UserWarning, match="NOT MNIST, they are of scikit-learn's digits, because no mirror answers"):
        assert resolve("auto", downloader=Offline()).card.name == "digits"


def test_to_make_the_digits_changes_no_variable_of_the_environment(tmp_path):
    """scikit-learn sets some of OpenMP's as it is imported: a worker would run under others the first time."""
    code = "import os; before = dict(os.environ); from lenet.dataset import resolve; resolve('digits')\n"
    code += "print({name for name in os.environ.keys() | before.keys() if os.environ.get(name) != before.get(name)})"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KMP_")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**clean, "LENET_BENCH_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.stdout == "set()\n"
