"""Scores of real images against real images: the lowest FID that digits allow.

python benchmarks/fid_floor.py
"""

from __future__ import annotations

import statistics

import torch

from gan_convnorm.data import Digits
from gan_convnorm.fidelity import Evaluator, create_extractor


def main() -> None:
    for resolution in (16, 32):
        data = Digits(resolution)
        data.setup()
        train, test = data.train_set.tensors[0], data.test_set.tensors[0]
        extractor = create_extractor("classifier", labelled=data.train_set.tensors)
        halves = []
        for seed in range(10):
            order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
            one, two = train[order].chunk(2)
            halves.append(Evaluator(extractor, one)(two).values["fid"])
        scores = Evaluator(extractor, train)
        print(f"{resolution}x{resolution}")
        mean, deviation = statistics.mean(halves), statistics.stdev(halves)
        print(f"  half of train against the other half: FID {mean:.3f} +- {deviation:.3f} (10 splits, n 718 and 719)")
        print(f"  test against train: FID {scores(test).values['fid']:.3f} (n 360 and 1437)")
        for name, images in (("train", train), ("test", test)):
            values = scores(images).values
            print(f"  {name}: IS {values['isc']:.2f} +- {values['isc_std']:.2f}")


if __name__ == "__main__":
    main()
