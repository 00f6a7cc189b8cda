"""Scores on several processes: the values of one, an error of one is an error of all, and nothing hangs."""

import itertools
import os

import pytest
import torch
import torch.distributed as dist
from forked_program import FORKED

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import Evaluator, GeneratedImages, Processes, create_extractor
from gan_convnorm.fidelity.classifier import trained_weights

METRICS = "isc,fid,kid,prc"


def test_shares_are_whole_blocks_and_cover_everything():
    for count, size, block in ((600, 3, 256), (100, 4, 64), (1437, 2, 64), (10, 3, 1), (5, 4, 256)):
        shares = [Processes(rank, size).share(count, block) for rank in range(size)]
        assert shares[0][0] == 0 and shares[-1][1] == count
        assert all(a[1] == b[0] for a, b in itertools.pairwise(shares))
        assert all(first % block == 0 or first == count for first, _ in shares)


def generate(first, count):
    random = torch.Generator().manual_seed(first)
    return torch.randint(0, 256, (count, 1, 16, 16), generator=random, dtype=torch.uint8)


def score(extractor, real, tmp_path):
    os.environ["XDG_CACHE_HOME"] = str(tmp_path)  # nothing cached
    options = {"metrics": METRICS, "kid_subset_size": 100, "batch_size": 50}
    evaluator = Evaluator(extractor, real, **options)
    # 15 blocks of 50 against 3 of 256: both uneven, and with four processes one has nothing to generate.
    return [evaluator(real[100:400]), evaluator(GeneratedImages(generate, 700, "noise"))]


def scoring_process(rank, size, rendezvous, weights, real, tmp_path, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=size)
    try:
        extractor = create_extractor("classifier", weights=weights)
        results.put((rank, [s.to_dict() for s in score(extractor, real, tmp_path)]))
    finally:
        dist.destroy_process_group()


def failing_process(rank, size, rendezvous, weights, real, tmp_path, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=size)
    evaluator = Evaluator(create_extractor("classifier", weights=weights), real)

    def failing(first, count):
        if rank == 1:
            raise MemoryError("no memory left")
        return generate(first, count)

    def colour(first, count):
        return generate(first, count) if rank == 0 else generate(first, count).expand(-1, 2, -1, -1)

    found = []
    for images in (failing, colour):
        try:
            evaluator(GeneratedImages(images, 512, "noise"))
        except Exception as error:
            found.append((type(error).__name__, str(error)))
    found.append(len(evaluator(GeneratedImages(generate, 512, "noise")).values))  # and goes on
    results.put((rank, found))
    dist.destroy_process_group()


def run(target, size, weights, real, tmp_path):
    """What every process put into the queue; a hang fails after two minutes."""
    results = FORKED.Queue()
    arguments = (size, tmp_path / "rendezvous", weights, real, tmp_path, results)
    workers = [FORKED.Process(target=target, args=(rank, *arguments)) for rank in range(size)]
    for worker in workers:
        worker.start()
    try:
        found = dict(results.get(timeout=120) for _ in workers)
    finally:
        for worker in workers:
            worker.join(10)
            worker.kill()
    return [found[rank] for rank in range(size)]


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3, 4])
def test_values_are_those_of_one_process(digits, tmp_path, size, monkeypatch):
    weights, real = trained_weights(*digits.train_set.tensors), digits.train_set.tensors[0][:720].clone()
    extractor = create_extractor("classifier", weights=weights)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "alone").mkdir()
    alone = score(extractor, real, tmp_path / "alone")
    (tmp_path / "together").mkdir()
    found = run(scoring_process, size, weights, real, tmp_path / "together")
    assert all(each == found[0] for each in found)
    for ours, expected in zip(found[0], alone, strict=True):
        assert ours["protocol"] == expected.protocol
        assert ours["values"] == pytest.approx(expected.values, rel=1e-6, abs=1e-7)


@pytest.mark.slow
def test_an_error_of_one_process_is_an_error_of_all_and_nothing_hangs(digits, tmp_path):
    weights, real = trained_weights(*digits.train_set.tensors), digits.train_set.tensors[0][:100].clone()
    first, second = run(failing_process, 2, weights, real, tmp_path)
    assert second[0] == ("MemoryError", "no memory left")
    assert first[0] == ("RuntimeError", "process 1 failed while scoring: no memory left")
    assert first[1] == second[1] and first[1][0] == "BadInput" and "expected (N, C, H, W)" in first[1][1]
    assert first[2] == second[2] == 3


def test_an_error_of_one_process_alone_is_itself():
    with pytest.raises(BadInput, match="text"):
        Processes().collect(lambda: (_ for _ in ()).throw(BadInput("text")))
