"""report.html: read in a browser as a person sees it; without one, its text."""

import csv
import html
import json
import re
import shutil
import subprocess

import pytest
import torch

from gan_convnorm.cli import main
from gan_convnorm.images.grid import save_grid
from gan_convnorm.report.run_page import write_run_page
from gan_convnorm.report.run_samples import SAMPLES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LAYERS = ("blocks.0.conv1", "blocks.0.conv2", "linear")


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache_folder):
    """A run of six steps, to which a long run's samples and operator norms are added."""
    folder = tmp_path_factory.mktemp("report") / "my & run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
        flags = ["--disc-norm", "convnorm", "--width", "0.05", "--batch-size", "8", "--num-fake", "20"]
        main([*flags, "--steps", "6", "--eval-every", "4", "--metrics", "isc,fid,kid", "--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def long_run(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("long") / "long"
    shutil.copytree(run, folder)
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        for layer in LAYERS:
            row |= {f"layers/{layer}/operator_norm": 1 + number, f"layers/{layer}/condition_number": 10**number}
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for step in range(10, 40):
        save_grid(torch.full((4, 3, 32, 32), step, dtype=torch.uint8), folder / f"samples/step-{step:06d}.png")
    write_run_page(folder)
    return folder


def seen(page, tmp_path):
    """What the browser has made of the page: its text, and (alt, width, height, distinct colours) of every picture."""
    script = """<script>addEventListener("load", () => {
      const found = [...document.images].map(image => {
        const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        const data = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
        return [image.alt, image.naturalWidth, image.naturalHeight, new Set(data).size, image.clientWidth];
      });
      const cells = [...document.querySelectorAll("#scores tr")].map(row => [...row.cells].map(cell => cell.innerText));
      const links = performance.getEntriesByType("resource").map(entry => entry.name);
      const result = {pictures: found, cells, links: links.filter(name => !name.startsWith("data:")),
                      text: document.body.innerText, wide: document.documentElement.scrollWidth > innerWidth};
      document.documentElement.replaceChildren(document.createTextNode("FOUND" + JSON.stringify(result) + "END"));
    })</script>"""
    tmp_path.mkdir()
    copy = tmp_path / "page.html"
    copy.write_text(page.read_text().replace("</body>", script + "</body>"))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=20000", "--window-size=1200,900", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(html.unescape(re.search(r"FOUND(.*)END", done.stdout, re.DOTALL)[1]))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
def test_a_browser_shows_scores_and_pictures(run, long_run, tmp_path):
    summary = json.loads((run / "summary.json").read_text())
    page = seen(run / "report.html", tmp_path / "a")
    assert page["cells"][0] == ["", "G step", "FID", "IS", "KID"]
    by_label = {row[0]: row[1:] for row in page["cells"][1:]}
    by_label = {one: row for label, row in by_label.items() for one in label.split(" = ")}
    assert set(by_label) == {"last", "best", "final"}
    for label, values in (("last", summary["last"]), ("best", summary["best"])):
        assert by_label[label][:2] == [str(values["g_step"]), f"{values['fid']:.2f}"]
        assert by_label[label][2] == f"{values['isc']:.2f} +- {values['isc_std']:.2f}"
    assert by_label["final"][1] == f"{summary['final']['values']['fid']:.2f}"
    assert "my & run" in page["text"] and "--disc-norm\tconvnorm" in page["text"]
    assert "20 EMA samples against 1437 digits train images" in page["text"]
    assert [p[0] for p in page["pictures"]] == [
        "real images",
        "samples at G step 6",
        "the training as an animation",
        "samples at G step 0",
        "samples at G step 4",
        "samples at G step 6",
        "scores and losses over steps",
    ]
    assert all(shown > 200 for *_, shown in page["pictures"])
    assert page["pictures"][-1][3] > 100, "a drawn figure, not an empty one"
    assert [p[1:3] for p in page["pictures"][:2]] == [[662, 662]] * 2 and page["pictures"][1][3] > 10
    assert page["pictures"][2][1:3] == [480, 480]
    assert page["links"] == [] and not page["wide"]

    page = seen(long_run / "report.html", tmp_path / "b")
    titles = [p[0] for p in page["pictures"]]
    assert titles[-2:] == ["scores and losses over steps", "operator norms over steps"]
    assert titles[:2] == ["real images", "samples at G step 39"]
    over = [title for title in titles[2:-2] if title.startswith("samples")]
    assert len(over) == SAMPLES and over[0] == "samples at G step 0" and over[-1] == "samples at G step 39"
    assert page["pictures"][-1][3] > 100
    assert not page["wide"]


@pytest.mark.slow
def test_the_page_needs_no_other_file_and_follows_what_is_there(run, tmp_path):
    text = (run / "report.html").read_text()
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert "<title>digits, convnorm, 16 x 16 (my &amp; run)</title>" in text and "Operator norms" not in text
    # A run that has only begun.
    (tmp_path / "begun").mkdir()
    write_run_page(tmp_path / "begun")
    text = (tmp_path / "begun" / "report.html").read_text()
    assert "G step 0, not finished" in text and "<table" not in text
    shutil.copy(run / "metrics.csv", tmp_path / "begun")
    write_run_page(tmp_path / "begun")
    text = (tmp_path / "begun" / "report.html").read_text()
    assert "G step 6, not finished" in text and "scores and losses over steps" in text and '<table id="scores">' in text


@pytest.mark.slow
def test_what_others_put_into_samples_is_passed_over(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    before = len(re.findall("<figcaption>", (folder / "report.html").read_text(encoding="utf-8")))
    samples = folder / "samples"
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    (samples / "step-000009.png").symlink_to(tmp_path / "secret.png")
    (samples / "step-000010.png").mkdir()
    (samples / "step-000011.png").write_bytes(b"GIF89a")
    for name in ("step-best.png", "step-12.png", "other.txt"):
        (samples / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    write_run_page(folder)
    assert len(re.findall("<figcaption>", (folder / "report.html").read_text(encoding="utf-8"))) == before
