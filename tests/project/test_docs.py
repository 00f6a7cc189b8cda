"""Pages of docs/: every command and every block of code runs, in their order, at a tiny scale; every link leads on."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_convnorm.cli import main
from gan_convnorm.cli.export import main as export
from gan_convnorm.data.torchvision_data import TorchvisionData
from gan_convnorm.inference.projection import project

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: a fenced block, or an indented command; both are run where they stand
PARTS = re.compile(
    r"^```(\w+)\n(.*?)^```|^ {4,}((?:PYTHONPATH=\. )?(?:python|torchrun) [^\n]*)$", re.MULTILINE | re.DOTALL
)
#: pages whose commands another test runs, or that need more than a test has
ELSEWHERE = {
    "data.md": "tests/data/test_data_docs.py",
    "demo.md": "tests/cli/test_demo.py",  # serves until Ctrl-C
    "export.md": "tests/project/test_export_pages.py",
    "norms.md": "tests/layers/test_norms.py",
    "python.md": "tests/project/test_python_page.py",
    "robustness.md": "tests/cli/test_robustness_cli.py",
    "study.md": "tests/cli/test_study_command.py",
    "training.md": "tests/gan/test_training_processes.py",  # starts several processes
    "zoo.md": "tests/project/test_export_pages.py",
    "scores.md": "tests/fidelity/test_fidelity.py",  # 50,000 images
}
PAGES = [
    path.relative_to(DOCS).as_posix()
    for path in sorted(DOCS.rglob("*.md"))
    if "results" not in path.parts and PARTS.search(path.read_text(encoding="utf-8"))
]
TUTORIALS = [page for page in PAGES if page.startswith("tutorial_")]
#: pages that docs/site makes when the site is built
GENERATED = ("reference/command_line.md", "reference/config.md", "reference/python/index.md")
SMALL = [
    "--width",
    "0.05",
    "--batch-size",
    "8",
    "--model.optimization.gen_batch_size",
    "8",
    "--model.optimization.n_dis",
    "1",
]
SMALL += ["--eval-every", "2", "--num-fake", "20", "--scores.isc_splits", "10", "--scores.weights", "ema"]
SMALL += ["--protocol", "quick"]


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # PYTHONPATH=.
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def photos(count):
    pixels = np.random.RandomState(0).randint(0, 256, (count, 40, 48, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        place = Path("photos") / ("cats", "dogs")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.jpg")


def run_command(words, steps):
    if words[:2] == ["python", "-c"]:
        exec(words[2], {})
        return steps
    if words[:3] == ["python", "-m", "pip"]:
        return steps  # tests/project/test_wheel.py and .ci/run install the package
    if words[:3] == ["python", "train_gan.py", "export"]:
        export(words[3:])
        return steps
    assert words[:2] == ["python", "train_gan.py"]
    words = words[2:]
    if not words[0].startswith("-"):
        main(words)
        return steps
    steps += 2
    # What is given twice counts as given last.
    small = [] if "--resume" in words else SMALL + ["--resolution", "16"] * ("--resolution" in words)
    main([*words, *small, "--steps", str(steps)])
    return steps


def parse_only(words):
    """Check the words of a run on several machines, which a test has not."""
    with pytest.raises(SystemExit) as stop:
        main([*words, "--print_config"])
    assert stop.value.code in (None, 0)


def run_torchrun(words):
    from torch.distributed.run import get_args_parser

    options = get_args_parser().parse_args(words)
    assert options.training_script == "train_gan.py"
    given = dict(zip(options.training_script_args[::2], options.training_script_args[1::2], strict=True))
    assert given["--num-nodes"] == options.nnodes and given["--devices"] == options.nproc_per_node
    parse_only(options.training_script_args)


def run_job(script, steps):
    """Run the command of a SLURM job, or check it where it asks for several processes."""
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    asked = dict(re.findall(r"--([\w-]+)=(\S+)", script))
    (command,) = re.findall(r"^srun (python .*)$", script, re.MULTILINE)
    words = shlex.split(command)
    if "--devices" not in words:
        return run_command(words, steps)
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert (given["--num-nodes"], given["--devices"]) == (asked["nodes"], asked["ntasks-per-node"])
    parse_only(words[2:])
    return steps


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_a_page_runs_from_top_to_bottom(page, capsys, monkeypatch, inception_weights):
    photos(60 if page in TUTORIALS else 12)  # Inception takes 0.2 s for one
    monkeypatch.setitem(project.__kwdefaults__, "steps", 5)
    shutil.copy(inception_weights, "inception.pth")
    fetched = []
    monkeypatch.setattr(TorchvisionData, "opened", lambda data, train, download: fetched.append((data.name, download)))
    if page == "operators.md":  # which compares runs that the README has made
        for norm in ("spectral", "convnorm"):
            main(["--disc-norm", norm, *SMALL, "--steps", "2"])
    steps, ran, names = 0, [], {}
    for kind, text, command in PARTS.findall(text_of(page)):
        named = re.match(r"# ([\w.]+\.(?:py|yaml))\n", text)
        if command.startswith("torchrun"):
            run_torchrun(shlex.split(command)[1:])
        elif command:
            for each in command.split("&&"):
                steps = run_command(shlex.split(each.replace("PYTHONPATH=. ", "")), steps)
        elif named:
            Path(named[1]).write_text(text)
        elif kind == "bash":
            steps = run_job(text, steps)
        else:
            assert kind == "python", text
            exec(compile(text, page, "exec"), names)
        ran.append(command or named or text)
    assert len(ran) >= (4 if page in TUTORIALS else 1)
    out = capsys.readouterr().out
    if page == "tutorial_own_images.md":
        assert "54 photos train images" in out  # a tenth is held out
        for name in re.findall(r"^\| `([\w./]+)`(?:, `([\w./]+)`)*", text_of(page), re.MULTILINE):
            assert all((Path("made") / file).exists() for file in name if file), name
        assert Path("first/report.html").exists() and Path("exported/generator.pt2").exists()
    elif page == "tutorial_new_network.md":
        assert {p.parent.name for p in Path().glob("*/summary.json")} == {"small", "plain"}
    elif page == "tutorial_new_norm.md":
        assert {p.parent.name for p in Path().glob("*/summary.json")} == {"standardized", "options"}
    elif page == "learn/start.md":
        assert Path("page.html").exists() and Path("made/grid.png").exists()
        for comment in re.findall(r"print\(.*\)  # (torch.*)", text_of(page)):
            assert comment in out
    elif page == "learn/offline.md":
        assert fetched == [("cifar10", True)] * 2 and Path("offline/summary.json").exists()


def test_pages_that_another_test_runs_are_there():
    assert set(ELSEWHERE) <= set(PAGES)
    assert all((ROOT / test).is_file() for test in ELSEWHERE.values())


def test_every_tutorial_is_linked():
    readme = (ROOT / "README.md").read_text()
    assert len(TUTORIALS) == 3
    assert all(f"docs/{page}" in readme for page in TUTORIALS)


@pytest.mark.parametrize("page", [path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.md"))])
def test_links_lead_somewhere(page):
    """Anchors are checked when the site is built."""
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text_of(page)):
        path = (DOCS / page).parent / link
        assert path.exists() or any(path.resolve() == DOCS / name for name in GENERATED), link


@pytest.mark.slow
def test_the_wandb_configuration_is_one(capsys):
    text = next(t for _, t, _ in PARTS.findall(text_of("tutorial_own_images.md")) if "wandb.yaml" in t)
    Path("wandb.yaml").write_text(text)
    with pytest.raises(SystemExit) as stop:
        main(["--config", "wandb.yaml", "--print_config"])
    assert stop.value.code in (None, 0)
    assert "class_path: pytorch_lightning.loggers.WandbLogger" in capsys.readouterr().out


@pytest.mark.slow
def test_the_files_of_a_run_are_named(capsys):
    """docs/reference/run_folder.md has a row for every file of a run, and no other."""
    main(["--disc-norm", "convnorm", *SMALL, "--steps", "2", "--operator-norms-every", "2", "--out", "run"])
    page = text_of("reference/run_folder.md")
    table = page[: page.index("## metrics.csv")]
    named = {
        name.split("/")[0] for name in re.findall(r"`([\w./-]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.M)))
    }
    # previous.ckpt is of a second evaluation, and .lock is there while a run writes.
    found = {path.name for path in Path("run").iterdir()} | {"previous.ckpt", ".lock"}
    assert named - {"tensorboard"} == found - {"tensorboard"}
    columns = Path("run/metrics.csv").read_text().splitlines()[0].split(",")
    for column in columns:
        assert re.sub(r"/.*/", "/LAYER/", column) in page, column
    for key in json.loads(Path("run/summary.json").read_text()):
        assert f"`{key}`" in page, key


@pytest.mark.slow
def test_figures_show_what_the_page_says(tmp_path):
    spec = importlib.util.spec_from_file_location("convnorm_figures", DOCS / "figures/convnorm.py")
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    figures.FOLDER = tmp_path
    layers = figures.layers()
    rows = re.findall(r"^\| .* \| ([\d.]+) \| (\d+) \|$", text_of("explain/convnorm_pictures.md"), re.MULTILINE)
    assert len(rows) == len(layers)
    for (largest, ratio), layer in zip(rows, layers.values(), strict=True):
        values = np.linalg.svd(figures.transfer_function(layer).numpy(), compute_uv=False)
        assert f"{values.max():.2f}" == largest
        assert f"{values.max() / values.min():.0f}" == ratio
    figures.draw_power_spectra(layers)
    figures.draw_singular_values(layers)
    for name in ("power_spectra.png", "singular_values.png"):
        assert Image.open(tmp_path / name).size == Image.open(DOCS / "figures" / name).size
        assert (DOCS / "figures" / name).stat().st_size < 200_000
