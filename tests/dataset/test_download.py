"""Downloads from a real HTTP server that fails in each known way."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import shutil
import ssl
import subprocess
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from lenet.dataset.archive import SIZES
from lenet.dataset.download import MIRRORS, Downloader, Mirror
from lenet.dataset.files import MNIST_SHA256, NAMES
from lenet.dataset.idx import images_bytes, labels_bytes
from lenet.errors import DatasetError
from lenet.files.http import Client

PATHS = [f"/{Path(name).name}.gz" for name in NAMES]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def files(monkeypatch):
    """Small files in place of MNIST's; sizes and digests are expected to be theirs."""
    generator = np.random.default_rng(11)
    made = {}
    for name, count in zip(NAMES, (300, 300, 50, 50), strict=True):
        if "images" in name:
            made[name] = images_bytes(generator.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        else:
            made[name] = labels_bytes(generator.integers(0, 10, count, dtype=np.uint8))
        monkeypatch.setitem(SIZES, name, len(made[name]))
        monkeypatch.setitem(MNIST_SHA256, name, hashlib.sha256(made[name]).hexdigest())
    return made


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Log nothing."""

    def do_GET(self):
        self.close_connection = True
        self.server.requests.append(self.path)
        queue = self.server.faults.get(self.path, [])
        fault = queue.pop(0) if queue else self.server.always
        with contextlib.suppress(OSError):  # the client has had enough
            (fault or Handler.honest)(self)

    def honest(self):
        body = self.server.bodies.get(self.path)
        return self.answer(404) if body is None else self.answer(200, body)

    def answer(self, code, body=b"", headers=(), length=None):
        self.send_response(code)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def status(code):
    return lambda handler: handler.answer(code)


def redirect(target):
    return lambda handler: handler.answer(302, headers={"Location": target})


def drop(count):
    """Promise the whole body, send `count` bytes and close the connection."""

    def fault(handler):
        body = handler.server.bodies[handler.path]
        handler.answer(200, body[:count], length=len(body))

    return fault


def hang(handler):
    handler.server.released.wait(20)


def hang_within(handler):
    body = handler.server.bodies[handler.path]
    handler.answer(200, body[:100], length=len(body))
    handler.wfile.flush()
    handler.server.released.wait(20)


def drip(handler):
    handler.answer(200, b"", length=10_000)
    while not handler.server.released.wait(0.05):
        handler.wfile.write(b"x")


def too_short_a_length(handler):
    body = handler.server.bodies[handler.path]
    handler.answer(200, body, length=len(body) // 2)


def wrong_bytes(handler):
    body = bytearray(gzip.decompress(handler.server.bodies[handler.path]))
    body[-1] ^= 1
    handler.answer(200, gzip.compress(bytes(body)))


def no_length(handler):
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(handler.server.bodies[handler.path])


@pytest.fixture
def server(files):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.bodies = {path: gzip.compress(files[name]) for path, name in zip(PATHS, NAMES, strict=True)}
    server.faults, server.always, server.requests, server.released = {}, None, [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def url(server):
    return f"http://127.0.0.1:{server.server_port}/"


def downloader(server, *mirrors, max_bytes=64 * 2**20, **settings):
    settings = {
        **{"connect_seconds": 2, "answer_seconds": 1, "read_seconds": 0.4, "total_seconds": 10},
        **{"retries": 2, "backoff_seconds": 0.01, "prefixes": ("https://", url(server))},
        **settings,
    }
    mirrors = tuple(Mirror(each) if isinstance(each, str) else each for each in mirrors or (url(server),))
    return Downloader(mirrors, Client(**settings), max_bytes)


def assert_whole(dataset, files):
    assert dataset.card.name == "mnist"
    for name, data in files.items():
        assert (dataset.folder / name).read_bytes() == data
    left = {path.name for path in dataset.folder.rglob("*") if path.is_file()}
    assert left == {Path(name).name for name in NAMES}, "nothing half-done is left"


def test_four_files_are_downloaded_once(server, files):
    seen = []
    fetch = downloader(server)
    assert_whole(fetch.mnist(lambda *progress: seen.append(progress)), files)
    assert sorted(server.requests) == sorted(PATHS)
    last = {name: (done, total) for name, done, total in seen}
    assert last == {path[1:]: (len(body), len(body)) for path, body in server.bodies.items()}
    server.requests.clear()
    assert_whole(fetch.mnist(), files)
    assert server.requests == [], "what is in the cache is not asked for again"


def test_plain_files(server, files):
    server.bodies = {path.removesuffix(".gz"): files[name] for path, name in zip(PATHS, NAMES, strict=True)}
    assert_whole(downloader(server, Mirror(url(server), "plain")).mnist(), files)


def test_a_response_without_a_length(server, files):
    server.faults[PATHS[0]] = [no_length]
    assert_whole(downloader(server).mnist(), files)


def test_a_dropped_connection_is_retried(server, files):
    server.faults[PATHS[0]] = [drop(5000), drop(100)]
    assert_whole(downloader(server).mnist(), files)
    assert server.requests[:3] == [PATHS[0]] * 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (drop(200), r"broke off at \d+ of \d+ bytes"),
        (too_short_a_length, "damaged gzip"),
        (wrong_bytes, "wrong sha256"),
        (status(404), "answers 404"),
        (status(500), "answers 500"),
        (status(403), "answers 403"),
        (hang, "no answer within|silent for"),
        (hang_within, "silent for|broke off|was lost"),
        (redirect("/elsewhere"), "answers 404|redirects"),
        (lambda handler: redirect(f"/bad{handler.path}")(handler), "redirects more than 5 times"),
        (redirect("http://mnist.invalid/x"), "only https is followed"),
        (redirect("ftp://127.0.0.1/x"), "only https is followed"),
        (redirect("file:///etc/passwd"), "only https is followed"),
        (lambda handler: handler.answer(200, b"<html>log in to the hotel's network</html>"), "wrong sha256"),
        (lambda handler: handler.answer(200, b"", length=10**12), "promises more than"),
        (lambda handler: handler.answer(200, gzip.compress(bytes(3_000_000))), "larger than MNIST's"),
        (lambda handler: handler.wfile.write(b"\0\1\2 this is no HTTP\r\n\r\n"), "broke off|was lost"),
    ],
    ids=[
        *("drops", "short-length", "wrong-bytes", "404", "500", "403", "hangs", "hangs-within", "redirects-to-nothing"),
        *("redirects-for-ever", "redirects-to-http", "redirects-to-ftp", "redirects-to-file", "portal", "huge", "bomb"),
        "no-http",
    ],
)
def test_a_bad_mirror_is_named_and_the_next_one_is_used(server, files, fault, words, cache):
    def worst(handler):
        if handler.path.startswith("/bad/"):
            handler.path = handler.path.removeprefix("/bad")
            return fault(handler)
        return handler.honest()

    bad = f"{url(server)}bad/"
    server.always = worst
    began = time.monotonic()
    with pytest.raises(DatasetError, match=words) as error:
        downloader(server, bad).mnist()
    assert "--data-dir" in str(error.value)
    assert "--dataset digits" in str(error.value)
    assert "\n" not in str(error.value)
    assert time.monotonic() - began < 8
    assert not (cache / "mnist" / NAMES[0]).exists(), "no file gets its name before its digest is right"
    assert_whole(downloader(server, bad, url(server)).mnist(), files)


def test_a_transient_failure_is_retried(server, files):
    for path in PATHS:
        server.faults[path] = [status(503), status(429)]
    assert_whole(downloader(server).mnist(), files)
    assert len(server.requests) == 3 * len(PATHS)


def test_a_server_that_drips(server):
    server.always = drip
    with pytest.raises(DatasetError, match="incomplete after 1 s"):
        downloader(server, total_seconds=1).mnist()


def test_more_bytes_than_any_file_has(server):
    with pytest.raises(DatasetError, match="than 1000 bytes"):
        downloader(server, max_bytes=1000).mnist()


def test_a_redirect_that_is_allowed_is_followed(server, files):
    server.bodies |= {f"/new{path}": server.bodies.pop(path) for path in list(server.bodies)}
    server.always = lambda handler: (
        handler.honest() if handler.path.startswith("/new/") else redirect(f"/new{handler.path}")(handler)
    )
    assert_whole(downloader(server).mnist(), files)


def archive(files, extra=()):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in [*files.items(), *extra]:
            packed.writestr(f"MNIST_Data/{name}" if not name.startswith("..") else name, data)
    return target.getvalue()


class TestZip:
    def test_one_archive_contains_all_four(self, server, files, tmp_path):
        server.bodies["/all.zip"] = archive(files, [("../../evil", b"x"), ("notes.txt", b"x")])
        assert_whole(downloader(server, Mirror(f"{url(server)}all.zip", "zip")).mnist(), files)
        assert len(server.requests) == 1
        assert not list(tmp_path.rglob("evil"))

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda files: b"PK no zip", "no zip, or a damaged one"),
            (lambda files: archive(files)[:-900], "no zip, or a damaged one"),
            (lambda files: archive(dict(list(files.items())[:3])), "lacks test/t10k-labels"),
            (lambda files: archive({**files, NAMES[1]: bytes(5_000_000)}), "larger than MNIST's"),
            (lambda files: archive({**files, NAMES[1]: files[NAMES[1]][:-1] + b"\x09\x09"}), "larger than MNIST's"),
            (lambda files: archive({**files, NAMES[1]: files[NAMES[3]]}), "wrong sha256"),
        ],
        ids=["no-zip", "truncated", "incomplete", "bomb", "longer", "wrong"],
    )
    def test_a_bad_archive(self, server, files, spoil, words):
        server.bodies["/all.zip"] = spoil(files)
        with pytest.raises(DatasetError, match=words):
            downloader(server, Mirror(f"{url(server)}all.zip", "zip")).mnist()


def test_three_threads_download_once(server, files):
    found = []
    racers = [threading.Thread(target=lambda: found.append(downloader(server).mnist())) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(found) == 3
    assert_whole(found[0], files)
    assert sorted(server.requests) == sorted(PATHS)


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, files):
    fetch = downloader(server)
    dataset = fetch.mnist()
    (dataset.folder / NAMES[2]).write_bytes(b"damaged")
    server.requests.clear()
    assert_whole(fetch.mnist(), files)
    assert server.requests == [PATHS[2]]


def test_by_default_only_https_is_requested(server):
    with pytest.raises(DatasetError, match="only https is followed"):
        downloader(server, prefixes=("https://",)).mnist()
    assert server.requests == []


def test_every_mirror_has_tls():
    assert {urlsplit(mirror.url).scheme for mirror in MIRRORS} == {"https"}
    assert len({urlsplit(mirror.url).hostname for mirror in MIRRORS}) == len(MIRRORS) >= 3
    assert Downloader().client.prefixes == ("https://",)


def test_a_self_signed_certificate_is_refused(server, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with openssl, which is not here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # the handshake fails, as it should
    with pytest.raises(DatasetError, match="certificate cannot be verified"):
        downloader(server, url(server).replace("http://", "https://")).mnist()
    assert server.requests == []
