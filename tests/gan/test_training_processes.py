"""Training on several processes and machines: one run, shared out."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from forked_program import ForkedProgram
from torch.distributed.run import main as torchrun

from gan_convnorm.cli import main
from gan_convnorm.run_folder import read_checkpoint

ROOT = Path(__file__).parents[2]
WORDS = ["--accelerator", "cpu", "--eval-every", "20", "--num-fake", "20", "--metrics", "fid", "--width", "0.05"]
WORDS += ["--n-dis", "2", "--trainer.log_every_n_steps", "10"]
WATCHED = ["--trainer.callbacks", "process_watch.Watch"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def launched(words):
    """Both processes of a run, with the variables that an external launcher sets for each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [ForkedProgram(main, words, **shared, LOCAL_RANK=str(rank)) for rank in range(2)]


def difference(one, two):
    first, second = (read_checkpoint(Path(run, "last.ckpt"))["state_dict"] for run in (one, two))
    assert first.keys() == second.keys()
    return max((first[k].double() - second[k].double()).abs().max().item() for k in first)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        # In float32 Adam turns rounding of gradients near zero into whole steps, so equality is shown in float64.
        ["--disc-norm", "convnorm", "--gen-norm", "none", "--precision", "64-true"],
        # A penalty differentiates the discriminator's gradient once more.
        [
            *("--disc-norm", "sync_batch", "--penalty", "r1", "--trainer.sync_batchnorm", "true"),
            *("--precision", "64-true", "--conditional"),
        ],
    ],
    ids=["convnorm", "synced batch norm"],
)
def test_two_processes_with_half_the_batch_train_as_one(options):
    words = [*WORDS, *options, "--steps", "10", "--eval-every", "10"]
    main([*words, "--batch-size", "8", "--out", "one"])
    processes = launched([*words, "--batch-size", "4", "--devices", "2", *WATCHED, "--out", "two"])
    for process in processes:
        assert process.end() == 0, process.printed
        lines = process.printed.splitlines()
        assert not [line for line in lines if "warning" in line.lower() and not line.startswith("warning: FID of")]
    assert difference("one", "two") <= 1e-5
    assert json.loads(Path("watched.json").read_text()) == [[1, 2, 2]] * 10
    rows = [Path(run, "metrics.csv").read_text().splitlines() for run in ("one", "two")]
    for one, two in zip(*rows, strict=True):
        numbers = [[float(cell) for cell in row.split(",") if cell] for row in (one, two) if row[0].isdigit()]
        assert not numbers or numbers[0] == pytest.approx(numbers[1], rel=1e-3, abs=1e-4)


HOSTS = ("gancn_a", "gancn_b")


@pytest.fixture
def hosts():
    """Two network namespaces joined by a cable, 10.77.0.1 and 10.77.0.2; unplugged by taking the first's end down."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and iproute2's ip")

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)

    made = [ip("netns", "add", host) for host in HOSTS]
    try:
        if any(done.returncode for done in made):
            pytest.skip(f"network namespaces cannot be made here: {made[0].stderr.strip() or made[1].stderr.strip()}")
        ip("link", "add", "cable_a", "netns", HOSTS[0], "type", "veth", "peer", "name", "cable_b", "netns", HOSTS[1])
        for host, end, address in zip(HOSTS, ("cable_a", "cable_b"), ("10.77.0.1", "10.77.0.2"), strict=True):
            ip("-n", host, "addr", "add", f"{address}/24", "dev", end)
            for device in (end, "lo"):
                done = ip("-n", host, "link", "set", device, "up")
                if done.returncode:
                    pytest.skip(f"network namespaces cannot be joined here: {done.stderr.strip()}")
        yield lambda state: ip("-n", HOSTS[0], "link", "set", "cable_a", state)
    finally:
        for host in HOSTS:
            ip("netns", "del", host)


def on_both(function, *words, **environment):
    """A function on each of the machines."""
    return [
        ForkedProgram(on_host, host, function, rank, words, GLOO_SOCKET_IFNAME=end, **environment)
        for rank, (host, end) in enumerate(zip(HOSTS, ("cable_a", "cable_b"), strict=True))
    ]


def on_host(host, function, rank, words):
    """Call a function on a machine."""
    with Path("/var/run/netns", host).open() as namespace:  # os.setns is new in Python 3.12
        assert ctypes.CDLL(None).setns(namespace.fileno(), 0) == 0
    function(rank, [*WORDS, "--num-nodes", "2", "--out", "run", *words])


def by_torchrun(rank, words):
    """Let torchrun start the program."""
    launch = ["--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(rank)]
    launch += ["--master-addr", "10.77.0.1", "--master-port", "29517"]
    torchrun([*launch, str(ROOT / "train_gan.py"), *words])


def as_by_torchrun(rank, words):
    """Run the program with the variables that torchrun sets."""
    numbers = {"RANK": rank, "GROUP_RANK": rank, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 1}
    os.environ.update({name: str(number) for name, number in numbers.items()})
    os.environ.update(TORCHELASTIC_RUN_ID="none", MASTER_ADDR="10.77.0.1", MASTER_PORT="29518")
    main(words)


@pytest.mark.slow
def test_machines_train_together_and_a_cut_ends_the_run_that_then_goes_on(hosts):
    strategy = ["--trainer.strategy", "gan_convnorm.strategies.NetworksDDP", "--trainer.strategy.timeout", "0:00:08"]
    words = ["--batch-size", "4", "--eval-every", "4", "--steps", "1000", *strategy]
    processes = on_both(by_torchrun, *words)
    processes[0].wait_for("G step 8:")  # so the checkpoint of step 4 is there
    hosts("down")
    cut = time.monotonic()
    for process in processes:
        assert process.end() != 0
        assert "error: another process is gone or does not answer (" in process.printed, process.printed[-2000:]
    assert time.monotonic() - cut < 60  # two collectives' timeouts, and torchrun's own farewell
    hosts("up")
    reached = read_checkpoint(Path("run/last.ckpt"))["g_step"]
    for process in on_both(as_by_torchrun, "--resume", "last", "--steps", str(reached + 4)):
        assert process.end() == 0, process.printed[-2000:]
    assert read_checkpoint(Path("run/last.ckpt"))["g_step"] == reached + 4


@pytest.mark.slow
def test_batch_norm_statistics_are_the_first_process_s_and_a_stopped_run_is_saved_once():
    words = [*WORDS, *WATCHED, "--steps", "1000", "--eval-every", "500", "--batch-size", "4", "--devices", "2"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train_gan.py"), *words, "--trainer.log_every_n_steps", "1", "--out", "two"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(ROOT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while process.poll() is None and not (Path("two/metrics.csv").exists()):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 143, out[-2000:]
    assert out.count("error: stopped by SIGTERM, saved at G step ") == 1
    saved = read_checkpoint(Path("two/last.ckpt"))
    assert saved["g_step"] % 10 == 0
    assert all(torch.isfinite(v).all() for v in saved["state_dict"].values())
    # Without synchronization the processes have batches of their own and statistics alike all the same.
    assert json.loads(Path("watched.json").read_text()) == [[1, 2, 2]] * saved["g_step"]
