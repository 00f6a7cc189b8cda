"""Wrong labels on purpose: symmetric and asymmetric label noise."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.random_streams import random_for

__all__ = ["CONFUSIONS", "LabelNoise", "noisy_labels"]

LabelNoise = Literal["symmetric", "symmetric-any", "asymmetric"]

#: data set -> class -> the class it is taken for (Patrini et al., CVPR 2017, arXiv:1609.03683, section 5): truck for
#: automobile, bird for airplane, deer for horse, cat and dog for each other; 2 for 7, 3 for 8, 5 and 6 for each other,
#: 7 for 1. The classes not named keep their labels.
CONFUSIONS: dict[str, dict[int, int]] = {
    "cifar10": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3},
    "digits": {2: 7, 3: 8, 5: 6, 6: 5, 7: 1},
}


def noisy_labels(
    labels: Tensor, rate: float, num_classes: int, *, kind: LabelNoise = "symmetric", data: str = "", seed: int = 0
) -> Tensor:
    """Return labels of which a share is wrong.

    >>> (noisy_labels(torch.zeros(10).long(), 0.4, num_classes=3) != 0).sum()
    tensor(4)

    "symmetric" gives round(rate * n) images a class drawn uniformly from the others, so the effective rate is the
    rate. "symmetric-any" draws from all classes, the true one too: effective rate about rate * (K - 1) / K.
    "asymmetric" gives round(rate * n_k) images of every class k the class that it is commonly taken for (`CONFUSIONS`;
    for other data the next class): the effective rate is below the rate where classes have none.

    Args:
        labels: true classes, int64, shape (N,).
        rate: from 0 to 1.
        num_classes: number of classes K, 2 or more where rate is above 0.
        kind: see above.
        data: name of the data set, a key of `CONFUSIONS` or another.
        seed: seeds the choice.

    Returns:
        int64, shape (N,); `labels` itself is unchanged.

    Raises:
        BadInput: a rate outside [0, 1], an unknown kind or a single class.
    """
    if not 0 <= rate <= 1:
        raise BadInput(f"label noise is {rate}; expected a rate from 0 to 1")
    if kind not in ("symmetric", "symmetric-any", "asymmetric"):
        raise BadInput(f"label noise {kind!r} is not known; choose one of: symmetric, symmetric-any, asymmetric")
    if rate > 0 and num_classes < 2:
        raise BadInput(f"label noise needs two classes or more, found {num_classes}")
    rng = random_for("labels", seed)
    noisy = labels.clone()
    if kind == "asymmetric":
        confusions = CONFUSIONS.get(data) or {k: (k + 1) % num_classes for k in range(num_classes)}
        for true, wrong in confusions.items():
            members = (labels == true).nonzero()[:, 0]
            chosen = torch.randperm(len(members), generator=rng)[: round(rate * len(members))]
            noisy[members[chosen]] = wrong
        return noisy
    chosen = torch.randperm(len(labels), generator=rng)[: round(rate * len(labels))]
    if kind == "symmetric":
        shift = torch.randint(1, num_classes, (len(chosen),), generator=rng)
        noisy[chosen] = (labels[chosen] + shift) % num_classes
    else:
        noisy[chosen] = torch.randint(0, num_classes, (len(chosen),), generator=rng)
    return noisy
