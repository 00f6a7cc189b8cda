"""Every command and every snippet of the README does what it says."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from gan_convnorm.cli import main
from gan_convnorm.cli.classify import main as classify
from gan_convnorm.cli.compare import main as compare
from gan_convnorm.cli.export import main as export
from gan_convnorm.cli.score import main as score
from gan_convnorm.cli.study import main as study

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [line.strip() for line in README.splitlines() if line.startswith("    python ")]
SMALL = [
    "--width",
    "0.05",
    "--batch-size",
    "4",
    "--model.optimization.gen_batch_size",
    "4",
    "--eval-every",
    "2",
    "--num-fake",
    "20",
]


def test_the_two_commands_stand_there():
    assert COMMANDS[0] == "python -m pip install -e . && python train_gan.py --disc-norm convnorm"
    assert COMMANDS[-1] == 'python -m pip install -e ".[test]" && python -m pytest'


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_commands_run_in_their_order(tmp_path, monkeypatch, capsys, inception_weights):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    shutil.copytree(ROOT / "configs", "configs")
    steps = 0
    for command in COMMANDS[:-1]:
        words = shlex.split(command.partition("&&")[2] or command)
        if words[:3] == ["python", "train_gan.py", "score"]:
            Path("photos").mkdir()
            for image in sorted(Path("made/images").glob("*.png"))[:8]:
                shutil.copy(image, "photos")
            score([*words[3:], "--extractor-weights", str(inception_weights), "--isc-splits", "2"])
            continue
        if words[:3] == ["python", "train_gan.py", "export"]:
            export(words[3:])
            continue
        if words[:3] == ["python", "train_gan.py", "compare"]:
            compare(words[3:])
            continue
        if words[:3] == ["python", "train_gan.py", "study"]:
            with pytest.raises(SystemExit) as ended:
                study([*words[3:], "--smoke", "--report"])  # tests/test_study.py runs it
            assert ended.value.code == 0
            continue
        if words[:3] == ["python", "train_gan.py", "classify"]:
            classify([*words[3:], "--epochs", "1", "--num-images", "12", "--corruptions", "fog", "--attacks", "fgsm"])
            continue
        assert words[:2] == ["python", "train_gan.py"]
        words = words[2:]
        if not words or words[0].startswith("-"):
            # The same command on a scale of seconds; what is given twice counts as given last.
            steps += 2
            words = [*words, *([] if "--resume" in words else SMALL), "--steps", str(steps)]
        elif words[0] == "validate":
            words += ["--num-fake", "20"]
        main(words)
    assert len(list(Path("made/images").glob("*.png"))) == 64
    assert Path("page.html").is_file()
    assert list(Path("checkpoints/runs/robustness").glob("*/summary.json"))
    assert Path("exported/generator.safetensors").is_file()
    assert {p.name for p in Path("checkpoints/runs").iterdir()} >= {"digits-convnorm-seed0", "digits-spectral-seed1"}
    capsys.readouterr()
    main(["--config", "checkpoints/runs/digits-convnorm-seed0/config.yaml", "--steps", "1"])
    assert "digits-convnorm-seed0-" in capsys.readouterr().out


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_snippets_run(snippet, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(compile(snippet, "README.md", "exec"), {})


def test_files_and_norms_named_are_there():
    from gan_convnorm.layers import NORMS

    for path in re.findall(r"configs/[\w./]+", README):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"\]\((?!https)([^)]+)\)", README):
        assert (ROOT / path).exists(), path
    assert all(f"`{name}`" in README for name in NORMS)
