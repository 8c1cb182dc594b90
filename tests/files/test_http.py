"""Downloads from a real server that fails in each way that is known."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from lenet.files.http import Client, DownloadError

BODY = bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.close_connection = True
        self.server.requests.append(self.path)
        faults = self.server.faults
        with contextlib.suppress(OSError):  # the client has closed the connection
            (faults.pop(0) if len(faults) > 1 else faults[0])(self)

    def answer(self, code, body=b"", length=None, **headers):
        self.send_response(code)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def whole(handler):
    handler.answer(200, BODY)


def status(code, **headers):
    return lambda handler: handler.answer(code, **headers)


def breaks_off(handler):
    handler.answer(200, BODY[:1000], length=len(BODY))


def closes(handler):
    handler.connection.close()


def drips(handler):
    handler.answer(200, b"", length=len(BODY))
    while not handler.server.stopped.wait(0.02):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def without_length(handler):
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(BODY)


def silent(handler):
    handler.answer(200, BODY[:10], length=len(BODY))
    handler.server.stopped.wait(10)


@pytest.fixture
def server(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.faults, made.requests, made.stopped = [whole], [], threading.Event()
    made.url = f"http://127.0.0.1:{made.server_address[1]}/"
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.stopped.set()
    made.shutdown()
    made.server_close()
    thread.join(5)


@pytest.fixture
def client(server):
    """A client that may ask the plain server."""
    return Client(read_seconds=1, total_seconds=1.5, backoff_seconds=0.01, prefixes=("https://", server.url))


def test_a_whole_file_with_its_progress(server, client):
    seen = []
    assert client.download(server.url, len(BODY), lambda *progress: seen.append(progress)) == BODY
    assert seen[-1] == (len(BODY), len(BODY))


def test_bytes_are_as_sent(server, client):
    server.faults = [lambda handler: handler.answer(200, BODY, Content_Encoding="gzip")]
    assert client.download(server.url, len(BODY)) == BODY


@pytest.mark.parametrize("fault", [breaks_off, closes, status(503), status(429, Retry_After="3600")])
def test_what_passes_is_retried(server, client, fault):
    server.faults = [fault, whole]
    assert client.download(server.url, len(BODY)) == BODY
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "requests", "message"),
    [
        (status(404), 1, "it answers 404"),
        (status(500), 3, "it answers 500"),
        (breaks_off, 3, "broke off at 1000 of 256000 bytes"),
        (closes, 3, "the connection was lost"),
        (silent, 1, "silent for 1 s"),
        (drips, 1, "incomplete after 1.5 s"),
        (status(302, Location="http://localhost:1/x"), 1, "only https"),
        (status(302, Location="http://[/x"), 1, "not valid"),
        (status(302, Location="/round"), 6, "redirects more than 5 times"),
    ],
)
def test_a_fault_that_stays_is_one_short_sentence(server, client, fault, requests, message):
    server.faults = [fault]
    began = time.monotonic()
    with pytest.raises(DownloadError, match=message) as raised:
        client.download(server.url, len(BODY))
    assert len(server.requests) == requests
    assert len(str(raised.value)) < 60
    assert time.monotonic() - began < 5


def test_a_file_that_is_too_large(server, client):
    with pytest.raises(DownloadError, match="promises more than 255999 bytes"):
        client.download(server.url, len(BODY) - 1)
    server.faults = [without_length]
    with pytest.raises(DownloadError, match="sends more than 255999 bytes"):
        client.download(server.url, len(BODY) - 1)


def test_the_body_of_a_redirect_is_not_read(server, client):
    def endless(handler):
        handler.answer(302, length=10**12, Location="/whole")
        handler.server.stopped.wait(10)

    server.faults = [endless, whole]
    assert client.download(server.url, len(BODY)) == BODY


def test_a_server_that_never_answers_is_left_after_the_answers_limit_alone(server, client):
    server.faults = [lambda handler: handler.server.stopped.wait(10)]
    patient = dataclasses.replace(client, answer_seconds=0.3, read_seconds=10, total_seconds=10)
    with pytest.raises(DownloadError, match=r"no answer within 0\.3 s"):
        patient.download(server.url, len(BODY))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "file:///etc/passwd", "ftp://localhost/x"])
def test_only_https_by_default(url):
    with pytest.raises(DownloadError, match="only https"):
        Client().download(url, 1)


def test_a_host_that_does_not_connect_is_not_asked_again(server):
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match="no connection"):
        Client(backoff_seconds=60, prefixes=(server.url,)).download(server.url, 1)


def test_a_file_of_certificates_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with pytest.raises(DownloadError, match=r"bundle.*/nowhere\.pem"):
        Client().download("https://127.0.0.1:1/file", 10)


def test_a_socks_proxy_without_its_package_is_named(monkeypatch):
    def without_socks(*_, **__):  # as requests defines it where PySocks is not installed
        raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")

    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", without_socks)
    monkeypatch.setenv("HTTPS_PROXY", "socks5h://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"^a SOCKS proxy needs the package pysocks: install it$"):
        Client().download("https://example.invalid/file", 10)
