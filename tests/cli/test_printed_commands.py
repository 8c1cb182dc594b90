"""Every command that a command prints does what is said, as printed: in the shell and the folder where it is read.

The program is a script of an environment that is not activated, as `.venv/bin/lenet-bench`; folders have names that a
shell, a terminal or the parser of options takes for something else.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lenet
from lenet.files.locks import take
from lenet.machine.installed import install_command
from lenet.store.run import Store

FAST = Path(__file__).with_name("fast.py")
NAMES = ("a  run", "-x", "it's $(here)\n`*`", "Größe\udcff", "a:warning:b [bold]")
RUN = ("run", "--mode", "graph", "--dataset", "digits", "--device", "cpu")


class User:
    """Somebody in a folder with an environment below it, who copies commands from the terminal."""

    def __init__(self, folder):
        self.folder = folder
        script = folder / "my env" / "bin" / "lenet-bench"
        script.parent.mkdir(parents=True)
        code = f"__file__ = {str(FAST)!r}\nexec(compile(open(__file__).read(), __file__, 'exec'))\n"
        script.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
        script.chmod(0o755)
        self.program = script
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "TOX_ENV_NAME"},
            **{f"LENET_BENCH_{name}": str(folder / name) for name in ("PROFILES", "LOCKS")},
            "PYTHONPATH": str(Path(lenet.__file__).parents[1]),
            "FAKE_SECONDS": "0.001",
        }
        (folder / "LOCKS").mkdir()

    def start(self, *words, **variables):
        return subprocess.Popen(
            [self.program, *words], cwd=self.folder, env={**self.environment, **variables}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="surrogateescape",
        )  # fmt: skip

    def says(self, *words, code=0):
        """What the command prints to standard error."""
        process = self.start(*words)
        _, err = process.communicate(timeout=200)
        assert process.returncode == code, err
        return err

    def copies(self, command):
        """What the command prints that bash is given as it was printed."""
        done = subprocess.run(
            ["bash", "-c", os.fsencode(command)], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            errors="surrogateescape", timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
        return done


@pytest.fixture
def user(tmp_path):
    return User(tmp_path)


def resume(said):
    (command,) = re.findall(r"^stopped: .*; resume with: (.*)$", said, re.MULTILINE)
    return command


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_resume_after_ctrl_c(user, name):
    process = user.start(*RUN, "--repeat", "3", f"--output={name}", FAKE_SECONDS="0.2")
    records = user.folder / name / "records"
    deadline = time.monotonic() + 60
    while not (records.is_dir() and list(records.glob("*.json"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    user.copies(resume(said))
    assert not Store.open(user.folder / name).missing()


def test_resume_after_an_error(user):
    lock = take(user.folder / "LOCKS" / "lenet-bench-cpu.lock")
    said = user.says(*RUN, "--busy", "refuse", "-o", "a run", code=2)
    lock.release()
    assert "measures on cpu" in said
    user.copies(resume(said))
    assert not Store.open(user.folder / "a run").missing()


def test_a_run_of_another_command_is_resumed_with_its_arguments(user):
    user.says(*RUN, "--output=-theirs")
    lock = take(user.folder / "LOCKS" / "lenet-bench-cpu.lock")
    process = user.start("reproduce", "./-theirs", "-o", "again")
    for line in process.stderr:
        if "waiting for" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    lock.release()
    assert process.returncode == 130
    process = subprocess.run(
        ["bash", "-c", resume(said)], cwd=user.folder, env=user.environment, capture_output=True, text=True
    )
    assert process.returncode in (0, 1), process.stderr  # the losses of the fake worker are its own
    assert not Store.open(user.folder / "again").missing()


def test_the_profile_that_is_not_tuned_yet(user):
    said = user.says(*RUN, "--profile", "tuned", code=2)
    (command,) = re.findall(r"run `([^`]*)` first", said)
    user.copies(f"{command} --budget 1")
    user.says(*RUN, "--profile", "tuned")


@pytest.mark.parametrize("name", NAMES[:3], ids=range(3))
def test_the_report_that_explain_offers(user, name):
    said = user.says("explain", "--dataset", "digits", "--budget", "1", f"--output={name}")
    command = re.search(r"issue tracker:\n  (.*)$", said, re.MULTILINE)[1]
    user.copies(command)
    assert "images/s" in (user.folder / "issue.md").read_text(encoding="utf-8")


def test_the_help_that_an_error_names(user):
    (command,) = re.findall(r"see `([^`]*)`", user.says("fly", code=2))
    assert "Usage:" in user.copies(command).stdout


def test_what_installs_a_package(tmp_path):
    """The one that is installed already: nothing is asked of the network."""
    command = f"{install_command('numpy<2')} --dry-run --no-index --no-deps --disable-pip-version-check"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "already satisfied" in done.stdout


@pytest.mark.parametrize(("uv", "wanted"), [("/bin/uv", "uv pip install --python {} "), (None, "{} -m ensurepip && ")])
def test_what_installs_a_package_where_there_is_no_pip(monkeypatch, uv, wanted):
    monkeypatch.setattr("lenet.machine.installed.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: uv)
    monkeypatch.setattr(sys, "executable", "/a b/python")
    assert install_command("numpy<2").startswith(wanted.format("'/a b/python'"))
    assert install_command("numpy<2").endswith("pip install 'numpy<2'" if uv is None else "'numpy<2'")
