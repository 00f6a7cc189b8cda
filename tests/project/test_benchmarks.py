"""The benchmarks run, at small sizes; what throughput is compared with is what it is said to be."""

import argparse
import json
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from PIL import Image

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import busy_cores
import convnorm_paths
import gpu_suite
import memory
import mimicry_loop
import process_settings
import robustness_study
import start_up
import throughput

from gan_convnorm.networks import SNGANDiscriminator, SNGANGenerator


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_mimicry_s_networks_have_the_published_sizes():
    with torch.device("meta"):
        assert count(mimicry_loop.Generator(256)) == count(SNGANGenerator(32)) == 4_276_739
        ours = SNGANDiscriminator(32, norm="none", head_bias=True)
        assert count(mimicry_loop.Discriminator(128)) == count(ours) == 1_053_825


@pytest.mark.slow
def test_mimicry_s_discriminator_computes_what_ours_does():
    theirs, ours = mimicry_loop.Discriminator(4).double(), SNGANDiscriminator(32, 3, 4 / 128, "none").double()
    weights = {}
    for number, block in enumerate(theirs.blocks):
        for name in ("conv1", "conv2", "shortcut"):
            if (layer := getattr(block, name)) is not None:
                largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
                weights[f"blocks.{number}.{name}.weight"] = layer.weight.detach() / largest
                weights[f"blocks.{number}.{name}.bias"] = layer.bias.detach()
    weights["linear.weight"] = theirs.linear.weight.detach() / theirs.linear.weight.detach().norm()
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(500):  # the power iterations converge
            for module in theirs.modules():
                if isinstance(module, mimicry_loop.PowerIteration):
                    module.normalized()
        found = theirs(images)[:, 0] - theirs.linear.bias
        torch.testing.assert_close(found, ours(images), rtol=1e-6, atol=1e-8)


SNGAN_32 = """
import torch

class Network(torch.nn.Module):
    def __init__(self, ngf=0, ndf=0):
        super().__init__()
        self.channels = torch.nn.Parameter(torch.full((1,), float(ngf + ndf)))

    def train_step(self, real_batch, other, optimizer, log_data, global_step, device, scaler):
        assert [tuple(part.shape) for part in real_batch] == [(2, 3, 32, 32), (2,)]
        log_data.steps.append(f"{self.channels.item():g} beside {other.channels.item():g}")
        return log_data

SNGANGenerator32 = SNGANDiscriminator32 = Network
"""
METRIC_LOG = """
class MetricLog:
    def __init__(self):
        self.steps = []

    def __getitem__(self, name):
        return self.steps
"""


def test_the_installed_mimicry_trains_its_own_networks_in_its_trainers_order(tmp_path, monkeypatch):
    package = tmp_path / "torch_mimicry"
    for name, content in {"nets/sngan/sngan_32": SNGAN_32, "training/metric_log": METRIC_LOG}.items():
        file = package / f"{name}.py"
        file.parent.mkdir(parents=True)
        file.with_name("__init__.py").write_text("import a_module_that_does_not_exist")
        file.write_text(content)
    (package / "__init__.py").write_text("import tensorflow_of_long_ago")
    for name in ("", ".nets", ".nets.gan", ".nets.sngan", ".nets.sngan.sngan_32", ".training", ".training.metric_log"):
        monkeypatch.delitem(sys.modules, f"torch_mimicry{name}", raising=False)
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    loop = mimicry_loop.InstalledMimicry(tmp_path, images, 2, 3, 0.5, 0, "cpu")
    assert loop.step()[0] == ["64 beside 128"] * 3 + ["128 beside 64"]


@pytest.mark.slow
def test_throughput_reports_ratios_and_where_the_time_goes(tmp_path, capsys):
    words = "--device cpu --batch 2 --width 0.05 --steps 2 --images 8 --profile-steps 1 --workers 0 --norms spectral"
    throughput.main([*words.split(), "--json", str(tmp_path / "found.json")])
    printed = capsys.readouterr().out
    assert "| spectral | " in printed and "aten::" in printed
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["environment"]["torch"] == torch.__version__.partition("+")[0]
    (compared,) = found["comparison"]
    assert compared["windows"] == 2
    for clock in ("wall", "cpu"):
        ours, theirs, ratio = (
            compared[name][0] for name in (f"ours_{clock}_s", f"mimicry_{clock}_s", f"ratio_{clock}")
        )
        assert 0.2 < ratio * ours / theirs < 5
    assert set(found["profile"]) == {"spectral", "none"}
    for parts in found["profile"].values():
        named = {name: seconds for name, seconds in parts.items() if name not in ("all",) and "of which" not in name}
        assert sum(named.values()) == pytest.approx(parts["all"])
        assert min(named.values()) > 0
        assert {"data", "D steps: fakes", "D steps: D backward", "G step: backward", "Adam", "the rest"} < set(named)


@pytest.mark.slow
def test_gpu_suite_in_seconds_on_a_cpu(tmp_path, capsys):
    for number in range(80):
        path = tmp_path / f"photos/train/{'ab'[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (3 * number, 255 - 3 * number, 100)).save(path)
    words = ["--smoke", "--device", "cpu", "--folder", str(tmp_path / "photos")]
    status = gpu_suite.main([*words, "--json", str(tmp_path / "suite.json")])
    printed = capsys.readouterr().out
    assert status == 0, printed
    found = json.loads((tmp_path / "suite.json").read_text())
    assert {row["part"] for row in found["results"]} == set(gpu_suite.parts(smoke=True))
    assert "FAILED" not in printed and "NOT WITHIN" not in printed
    assert {"hardware", "python", "torch", "commit"} <= set(found["environment"])
    again = [row for row in found["results"] if row["what"] == "again"]
    assert [row["difference"] for row in again] == [0]
    (folder,) = [row for row in found["results"] if row["part"] == "folder, convnorm"]
    assert folder["g_steps"] >= 1 and folder["fid"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["spectral", "convnorm"])
def test_memory_counted_without_memory_is_that_of_real_tensors(norm, monkeypatch, capsys):
    words = f"--networks dcgan:16 --norms {norm} --precisions bf16-mixed --batches 8 --accumulate 1 --width 0.05"
    memory.main(words.split())
    assert f"| dcgan 16 | {norm} | bf16-mixed | 8 | " in capsys.readouterr().out
    case = memory.Case("dcgan", 16, norm, "bf16-mixed", batch=8, accumulate=1, width=0.05, device="cpu")
    counted = memory.count(case)
    monkeypatch.setattr(memory, "FAKE", nullcontext())
    assert memory.count.__wrapped__(case) == pytest.approx(counted, rel=1e-3)


def test_a_part_of_the_suite_fails_alone(monkeypatch, capsys):
    def broken(arguments):
        raise RuntimeError("out of memory\nand so on")

    def slow(arguments):
        while True:
            pass

    fine = lambda arguments: [gpu_suite.row("", "well")]  # noqa: E731
    apart = lambda arguments: [gpu_suite.row("", "NOT WITHIN 0.1", good=False)]  # noqa: E731
    chosen = {"broken": broken, "fine": fine}
    monkeypatch.setattr(gpu_suite, "parts", lambda smoke: chosen)
    assert gpu_suite.main(["--smoke"]) == 1
    printed = capsys.readouterr().out
    assert "| broken | FAILED: RuntimeError: out of memory and so on |" in printed
    assert "| fine | well |" in printed
    assert gpu_suite.main(["--smoke", "--only", "fine"]) == 0
    chosen |= {"broken": apart}
    assert gpu_suite.main(["--smoke"]) == 1
    capsys.readouterr()
    chosen |= {"broken": slow}
    assert gpu_suite.main(["--smoke", "--minutes", "0.01"]) == 1
    printed = capsys.readouterr().out
    assert "| broken | FAILED: TimeoutError: no time was left |" in printed
    assert "| fine | FAILED: TimeoutError: no time was left |" in printed


@pytest.mark.slow
def test_busy_cores_times_every_way_of_waiting(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(busy_cores, "WAYS", {way: busy_cores.WAYS[way] for way in (busy_cores.TORCH, busy_cores.OURS)})
    found = iter([0.1, 0.9, 0.102, 0.3])
    asked = []

    def run(variables, arguments):
        asked.append(variables)
        return {"seconds": [next(found)] * 3, "environment": {"processor": "some"}}

    with monkeypatch.context() as patch:
        patch.setattr(busy_cores, "run_apart", run)
        assert busy_cores.main(["--rounds", "1", "--busy", "1", "--json", str(tmp_path / "found.json")]) == 0
    assert asked == [{}, {}, {"GOMP_SPINCOUNT": "10000"}, {"GOMP_SPINCOUNT": "10000"}]
    printed = capsys.readouterr().out
    assert "| this package's programs | 102.0 +- 0.0 | 300.0 +- 0.0 | 1.020 | 2.9 |" in printed and ": met" in printed
    assert json.loads((tmp_path / "found.json").read_text())["ratios"]["torch's own"]["busy"] == pytest.approx(9)
    # The process sets its own number of threads, whatever is set here.
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    timed = busy_cores.run_apart({"OMP_NUM_THREADS": "1"}, argparse.Namespace(steps=3, seconds=60.0, width=0.05))
    assert len(timed["seconds"]) == 3 and min(timed["seconds"]) > 0
    assert timed["environment"]["threads"] == 1


def test_busy_processes_run_until_the_block_ends(monkeypatch):
    started, start = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *words: started.append(start(*words)) or started[-1])
    with busy_cores.busy_processes(2):
        assert [process.poll() for process in started] == [None, None]
    assert all(process.poll() < 0 for process in started)


@pytest.mark.parametrize("words", [[], ["--autocast"]])
def test_both_ways_of_convnorm_are_timed_and_the_choice_is_shown(words, monkeypatch, capsys):
    small = ["--shapes", "32 @8", "--batches", "1", "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", ["convnorm_paths.py", *small, *words])
    convnorm_paths.main()
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 32 @8")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == "1" and float(cells[2]) > 0 and float(cells[3]) > 0
    assert cells[4].removesuffix(" *") == "transforms"  # one image does not earn the kernels' transforms


def test_process_settings_are_compared_by_case(monkeypatch, capsys):
    monkeypatch.setattr(process_settings.os, "cpu_count", lambda: 2)
    times = {"given back": 0.1, "kept": 0.09, "1": 0.1, "2": 0.06}

    def run(command, env, **options):
        assert not [name for name in env if name.startswith("MALLOC_")]
        assert command[2] == "memory" or env["OMP_NUM_THREADS"] == command[-1]
        result = {"seconds": times[command[-1]], "system": 0.01, "faults": 5, "peak_mib": 900}
        return argparse.Namespace(stdout=f"words\n{json.dumps(result)}\n")

    monkeypatch.setattr(process_settings.subprocess, "run", run)
    process_settings.main(["memory", "--rounds", "2", "--cases", "digits"])
    assert "| digits | 100.0 +- 0.0 | 90.0 +- 0.0 | 0.900 +- 0.000 | 10.0 to 10.0 |" in capsys.readouterr().out
    process_settings.main(["threads", "--rounds", "1", "--cases", "digits"])
    # 2 T2 / T1 - 1 = 20% are not shortened: 100 ms * (0.2 + 0.8 / 4) = 40 ms.
    assert "| digits | 100.0 +- 0.0 | 60.0 +- 0.0 | 20% | 40.0 | 30.0 | 25.0 |" in capsys.readouterr().out


@pytest.mark.slow
def test_a_process_times_its_steps():
    found = process_settings.time_steps("digits", process_settings.FREED, 1)
    assert found["seconds"] > 0 and found["kept"] is False and found["environment"]["threads"] == 1


@pytest.mark.slow
def test_start_up_compares_checkouts(capsys):
    root = str(Path(__file__).parents[2])
    start_up.main(["--checkout", root, "--checkout", root, "--rounds", "1", "--only", "help"])
    row = r"^\| `python train_gan.py --help` \| ([\d.]+) .* \| ([\d.]+) "
    found = re.findall(row, capsys.readouterr().out, re.MULTILINE)
    assert len(found) == 2 and all(0 < float(first) <= float(whole) < 2 for whole, first in found)


@pytest.mark.slow
def test_the_study_of_classifiers_trains_on_a_folder_and_compares(tmp_path, capsys):
    for number in range(48):
        path = tmp_path / "images" / ("test" if number % 3 == 0 else "train") / str(number % 2) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8).numpy()).save(path)
    cells = tmp_path / "cells.csv"
    words = f"--cells {cells} --images {tmp_path / 'images'} --resolution 16 --arch resnet8 --epochs 1 --seeds 2"
    words += " --precision bf16-mixed --num-images 8"
    robustness_study.main([*words.split(), "--norms", "batch", "convnorm", "--conditions", "clean"])
    printed = capsys.readouterr().out
    rows = robustness_study.read_cells(cells)
    assert [(row["norm"], row["seed"]) for row in rows] == [(n, s) for s in "01" for n in ("batch", "convnorm")]
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in ("clean", "corrupted", "fgsm", "pgd"))
    assert "| clean | corruptions, mean of 5 severities |" in printed and "(Holm)" in printed
    # Another setting's rows are not taken for these, and a norm that is not in the table's list has a column.
    with pytest.raises(SystemExit):
        robustness_study.main(["--cells", str(cells), "--seeds", "1"])
    setting = "images at 16, resnet8, 1 epochs, bf16-mixed, 8 images corrupted and attacked"
    assert f"has rows of '{setting}', and this is 'digits'" in capsys.readouterr().err
    robustness_study.write_cells(cells, [*rows, *({**row, "norm": "spectral"} for row in rows[:1])])
    robustness_study.main([*words.split(), "--norms", "batch", "--conditions", "clean"])
    printed = capsys.readouterr().out
    assert "| trained on | measured | batch | convnorm | spectral | seeds |" in printed
    assert re.search(
        r"^\| clean \| clean \| .* \+- .* \| .* \+- .* \| [\d.]+ \(n = 1\) \| 2 \|$", printed, re.MULTILINE
    )
    assert f"commit: {rows[0]['commit']}\n" in printed and rows[0]["commit"] and "label noise" not in printed
