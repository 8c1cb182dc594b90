"""The picture of a report for the README.

    python docs/screenshot.py report.html docs/report.png

Needs Chromium (`apt-get install chromium`) and `pip install playwright pillow`.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

WIDTH, HEIGHT = 1240, 1130


def main(page: Path, target: Path) -> None:
    """Open the page as a reader does, and take what the window shows."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium is here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("body[data-ready]", timeout=120_000)
        picture = Image.open(io.BytesIO(tab.screenshot()))
        browser.close()
    picture.convert("RGB").save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
