"""The page of the demo, served for real: its answers, and its pictures in a browser."""

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_convnorm.errors import BadInput
from gan_convnorm.gan import GAN, Architecture
from gan_convnorm.gan.loading import load
from gan_convnorm.images.grid import picture_grid
from gan_convnorm.inference import demo_page
from gan_convnorm.inference.demo_page import build_page, serve
from gan_convnorm.inference.playground import Playground

ZOO = Path(__file__).parents[2] / "checkpoints" / "digits_convnorm"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pixels(images, columns):
    return picture_grid(images, columns).permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def page(digits):
    gradio = pytest.importorskip("gradio", reason="the extra demo is not installed")
    playground = Playground(load(ZOO), digits.train_set.tensors[0])
    blocks = build_page(playground, "a trained generator")
    _, address, _ = blocks.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield playground, address
    blocks.close()
    gradio.close_all(verbose=False)


@pytest.mark.slow
def test_every_input_draws_its_picture_again(page):
    from gradio_client import Client

    playground, address = page
    client = Client(address, verbose=False)
    answers = client.predict(3, "all", 0.5, api_name="/samples")
    assert np.array_equal(np.asarray(Image.open(answers)), pixels(playground.images(3, 64, truncation=0.5), 8))
    answers = client.predict(3, 5, "all", 0, api_name="/walk")
    assert np.array_equal(np.asarray(Image.open(answers)), pixels(playground.walk(3, 5), 9))
    image, found, distances = client.predict(3, "all", 0, api_name="/nearest")
    sample = playground.images(3)
    nearest, expected = playground.nearest(sample[0])
    assert np.array_equal(np.asarray(Image.open(image)), pixels(sample, 1))
    assert np.array_equal(np.asarray(Image.open(found)), pixels(nearest, 5))
    assert distances == ", ".join(f"{value:.3f}" for value in expected.tolist())


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
def test_a_browser_shows_the_first_picture_without_a_network(page, tmp_path):
    _, address = page
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--virtual-time-budget=30000"]
    command += ["--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "a trained generator" in done.stdout and "64 samples" in done.stdout
    for tab in ("Samples", "Between two samples", "Nearest training images"):
        assert tab in done.stdout
    assert re.search(r'<img[^>]+src="http://127\.0\.0\.1[^"]+\.png"', done.stdout)


@pytest.mark.slow
def test_classes_are_offered_where_there_are_any():
    pytest.importorskip("gradio", reason="the extra demo is not installed")
    architecture = Architecture(width=0.05, conditional=True)
    network = GAN(resolution=16, channels=1, num_classes=3, architecture=architecture).eval()
    config = build_page(Playground(network), "classes").get_config_file()
    (dropdown,) = [part for part in config["components"] if part["type"] == "dropdown"]
    assert [name for name, _ in dropdown["props"]["choices"]] == ["all", "0", "1", "2"]
    assert "Nearest training images" not in [part["props"].get("label") for part in config["components"]]


def test_without_gradio_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(BadInput, match="python -m pip install gradio"):
        serve(Playground(load(ZOO)), "title", port)


@pytest.mark.parametrize(("port", "message"), [(0, "--port is 0; expected 1 to 65535"), (99999, "--port is 99999")])
def test_a_port_that_cannot_be_is_refused_before_the_page_is_made(port, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)  # so that no page can be made
    with pytest.raises(BadInput, match=message):
        demo_page.serve(Playground(load(ZOO)), "zoo", port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BadInput, match="is taken or cannot be used"):
            demo_page.serve(Playground(load(ZOO)), "zoo", other.getsockname()[1])


def test_an_emptied_seed_is_the_first():
    assert [demo_page._seed(value) for value in (None, -1, 7.0)] == [0, 0, 7]
