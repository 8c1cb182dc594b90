"""Names that must not be in a record, planted and searched for."""

from __future__ import annotations

import re
import sys

import pytest

from lenet.engine.builder import tail
from lenet.machine import redact
from lenet.machine.redact import variables, without_names


@pytest.fixture
def somebody(monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice.b")
    monkeypatch.setenv("LOGNAME", "alice.b")
    monkeypatch.setattr(redact.platform, "node", lambda: "node7.lab.example")


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("no file /home/alice.b/data/x.py", "no file ~/data/x.py"),
        ("/home/alice.b", "~"),
        ("/home/alice.b2/x", "/home/alice.b2/x"),
        ("ssh alice.b@node7.lab.example: no", "ssh (user)@(host): no"),
        ("node7 and node77 and my-node7", "(host) and node77 and my-node7"),
        ("/scratch/alice.b/x", "/scratch/(user)/x"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_names_are_replaced_and_the_rest_stays(somebody, text, instead):
    assert without_names(text) == instead


def test_a_common_name_is_not_replaced(monkeypatch):
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.setenv("LOGNAME", "root")
    monkeypatch.setattr(redact.platform, "node", lambda: "localhost")
    assert without_names("the root of it on localhost in /root/x") == "the root of it on localhost in ~/x"


@pytest.mark.parametrize(("home", "name", "host"), [("/", "", ""), ("", "x", "a")])
def test_a_user_without_a_name(monkeypatch, home, name, host):
    monkeypatch.setenv("HOME", home)
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, name)
    monkeypatch.setattr(redact.platform, "node", lambda: host)
    assert without_names("a /x b") == "a /x b"


def test_the_end_of_a_log(somebody, tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"\x1b[31mError in /home/alice.b/train.py on node7\n" + b"x" * 10)
    assert tail(log) == "[31mError in ~/train.py on (host)\nxxxxxxxxxx"


def test_variables_that_may_contain_an_address_a_path_or_a_secret(somebody):
    found = variables(
        {
            **{"MS_SCHED_HOST": "10.1.2.3", "MS_API_TOKEN": "s3cret", "OMP_NUM_THREADS": "2", "HOME": "/home/alice.b"},
            **{"MS_CACHE": "/home/alice.b/cache", "MS_NAME": "run of alice.b"},
        },
        re.compile("^(MS|OMP)_"),
    )
    assert found == {
        **{"MS_API_TOKEN": "(set)", "MS_CACHE": "(set)", "MS_NAME": "run of (user)", "MS_SCHED_HOST": "(set)"},
        "OMP_NUM_THREADS": "2",
    }


def test_a_value_of_thousands_of_characters_is_left_out():
    """As NVIDIA_REQUIRE_CUDA, which an image sets and which fills a page of a report."""
    environment = {"NVIDIA_REQUIRE_CUDA": "cuda>=13.0 " + "brand=tesla,driver>=535 " * 100, "CUDA_VERSION": "13.0.2"}
    found = variables(environment, re.compile("^(CUDA|NVIDIA)_"))
    assert found == {"CUDA_VERSION": "13.0.2", "NVIDIA_REQUIRE_CUDA": "(set)"}


def test_the_record_of_a_crash_contains_no_names(somebody, tmp_path, digits, new_store):
    """From the output of a real worker to the record and the event log."""
    from lenet.cases.case import Case
    from lenet.engine.local import LocalEngine

    script = tmp_path / "worker.py"
    script.write_text(
        "import json, os, sys\n"
        "sys.stdin.read()\n"
        "print('Traceback: /home/alice.b/x.py', flush=True)\n"
        "words = {'event': 'failed', 'status': 'crashed', 'reason': 'no /home/alice.b/x on node7.lab.example'}\n"
        "os.write(int(sys.argv[1]), json.dumps(words).encode() + b'\\n')\n"
        "sys.exit(1)\n"
    )
    case = Case(dataset="digits")
    store = new_store([case], digits)
    (record,) = LocalEngine(command=(sys.executable, str(script))).run([case], {"digits": digits}, store)
    assert record.reason == "no ~/x on (host)"
    assert "~/x.py" in record.stderr_tail
    for path in (store.record_path(case), store.path / "events.jsonl", store.path / "manifest.json"):
        assert not {"alice.b", "node7"} & set(re.findall(r"[\w.]+", path.read_text())), path
