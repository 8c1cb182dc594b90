"""Check the built wheel and archive: `wheel.py FOLDER`, as `tox -e package` does.

Every file of the package that git has is in both: presets, references, templates and types among them.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (wheel,) = folder.glob("*.whl")
    (archive,) = folder.glob("*.tar.gz")
    listed = subprocess.run(["git", "ls-files", "lenet", "lenet_bench.py"], cwd=ROOT, check=True, capture_output=True)
    wanted = {name for name in listed.stdout.decode().splitlines() if not name.endswith("README.md")}
    with zipfile.ZipFile(wheel) as opened:
        missing = wanted - set(opened.namelist())
    with tarfile.open(archive) as opened:
        inside = {name.partition("/")[2] for name in opened.getnames()}
    missing |= wanted - inside
    if missing:
        raise SystemExit(f"not packed: {', '.join(sorted(missing))}")
    print(f"{wheel.name}: {len(wanted)} files")
