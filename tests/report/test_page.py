"""The one template: every value is text, whatever it holds."""

import html
import re
import shutil
import subprocess

import pytest

from gan_convnorm.report.blocks import Cell, Code, Heading, Paragraph, Picture, Sample, Samples, Table
from gan_convnorm.report.page import render_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = "<script>\"'&{{ 1 }}"


def test_every_value_is_escaped():
    text = HOSTILE
    blocks = [
        Heading(text),
        Paragraph(text, name=text),
        Table([text, Cell(text, text)], [[text, Cell(text, text)]], name=text),
        Picture(b"", text, text),
        Samples([Sample(b"", text, text, colour=text)]),
        Code(text, name=text),
    ]
    page = render_page(text, blocks, text)
    assert "<script" not in page and "{{" in page
    assert page.count("&lt;script&gt;&#34;&#39;&amp;{{ 1 }}") == 20


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1280, 420])
def test_the_widest_table_fits_a_window_and_a_phone(tmp_path, width):
    """The cells of a comparison of many seeds by every score, which are wider than the page on one line."""
    spread = "0.06677 ±\N{NO-BREAK SPACE}0.00506"
    heads = ["", "seeds", "G steps", *(f"{score} (last)" for score in ("FID", "IS", "KID", "precision", "recall"))]
    heads += ["FID (best)", "seconds of the run", "CPU s per G step"]
    row = [Cell("--disc-norm convnorm+batch, --n-dis 5", "#123456"), "0, 1, 2, 3, 4", "100000", *[spread] * 8]
    page = render_page("a", [Table(heads, [row, row], first_number=2)], "an example")
    # In a frame: a window of the browser is at least 500 pixels wide.
    frame = f'<iframe style="border: 0; width: {width}px; height: 900px" srcdoc="{html.escape(page)}"></iframe>'
    script = """<script>addEventListener("load", () => {
      const page = document.querySelector("iframe").contentDocument, table = page.querySelector(".wide");
      const shown = [...page.querySelectorAll("th")].filter(each => each.offsetParent !== null).length;
      const inner = page.defaultView.innerWidth, over = page.documentElement.scrollWidth - inner;
      document.title = `${inner} ${over} ${table.scrollWidth - table.clientWidth} ${shown}`;
    })</script>"""
    (tmp_path / "page.html").write_text(f"<!DOCTYPE html><title></title>{frame}{script}", encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--window-size=1400,1000", "--dump-dom", (tmp_path / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    inner, page_over, table_over, heads_shown = map(int, re.search(r"<title>(.*)</title>", done.stdout)[1].split())
    assert inner == width and page_over <= 0 and table_over <= 0
    assert heads_shown == (len(heads) if width > 600 else 0)  # on a phone each cell names its column
