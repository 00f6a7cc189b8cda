"""Values of the metrics by torch-fidelity's own functions, with less memory and fewer threads."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

__all__ = [
    "METRICS",
    "SEED",
    "effective_rank",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "parse_metrics",
    "precision_and_recall",
    "statistics",
]

from gan_convnorm.errors import BadInput

#: names of metrics; "prc" gives precision and recall
METRICS = ("isc", "fid", "kid", "prc")
#: torch-fidelity's default, for the order of the Inception Score's splits and KID's subsets
SEED = 2020
ROWS = 4096


def parse_metrics(metrics: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Return the metrics named in a text or a sequence, in the order of `METRICS`; refuse unknown ones.

    >>> parse_metrics("fid,isc")
    ('isc', 'fid')

    Args:
        metrics: names separated by commas, or a sequence of names.

    Returns:
        The names.

    Raises:
        BadInput: an unknown name, or none.
    """
    if not isinstance(metrics, (str, list, tuple)):
        raise BadInput(f"metrics are {metrics!r}; expected names separated by commas, of: {', '.join(METRICS)}")
    names = [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in METRICS:
            raise BadInput(f"metric {name!r} is not known; choose from: {', '.join(METRICS)}")
    if not names:
        raise BadInput(f"no metric is given; choose from: {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name in names)


def inception_score(logits: Tensor, splits: int) -> dict[str, float]:
    """Return the Inception Score exp E KL(p(y|x) || p(y)) over splits in a random order (Salimans et al., 2016).

    >>> round(inception_score(torch.zeros(20, 10), splits=2)["isc"], 6)
    1.0

    Args:
        logits: shape (N, classes).
        splits: number of splits; mean and standard deviation are over them.

    Returns:
        "isc" and "isc_std".
    """
    # torch-fidelity turns all logits to float64 three times over; split by split it is the same arithmetic.
    order = np.random.RandomState(SEED).permutation(len(logits))
    edges = [i * len(logits) // splits for i in range(splits + 1)]
    scores = [
        isc_features_to_metric(logits[order[first:last]], 1, False)[KEY_METRIC_ISC_MEAN]
        for first, last in itertools.pairwise(edges)
    ]
    return {"isc": float(np.mean(scores)), "isc_std": float(np.std(scores))}


def statistics(features: Tensor) -> dict[str, Tensor]:
    """Return mean (float32, as torch-fidelity has it) and covariance (float64) of features (N, D).

    >>> statistics(torch.tensor([[0.0], [2.0]]))
    {'mu': tensor([1.]), 'sigma': tensor([[2.]], dtype=torch.float64)}
    """
    mean32 = torch.from_numpy(np.mean(features.numpy(), axis=0))
    mean = torch.from_numpy(np.mean(features.numpy(), axis=0, dtype=np.float64))
    covariance = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    for rows in torch.split(features, ROWS):  # numpy.cov holds two copies of all rows in float64
        centred = rows.double() - mean
        covariance.addmm_(centred.T, centred)
    return {"mu": mean32, "sigma": covariance / (len(features) - 1)}


def frechet_distance(fakes: dict[str, Tensor], reference: dict[str, Tensor]) -> dict[str, float]:
    """Return |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Heusel et al., 2017), from `statistics`.

    The distance is never negative, but rounding can make the result so. An eigenvalue 0 of C1 C2 is computed as about
    eps |C1| |C2|, and the roots of D such errors add up. So a result down to -D (eps |C1| |C2|)^(1/2) is returned as 0.

    >>> found = statistics(torch.randn(100, 4))
    >>> frechet_distance(found, found)
    {'fid': 0.0}

    Args:
        fakes: of `statistics`.
        reference: of `statistics`.

    Returns:
        "fid".
    """
    both = [{name: value.numpy() for name, value in found.items()} for found in (fakes, reference)]
    # Eigenvalues with many threads on busy cores take ten times as long.
    with threadpool_limits(1):
        found = fid_statistics_to_metric(*both, verbose=False)[KEY_METRIC_FID]
    sizes = [np.linalg.norm(one["sigma"]) for one in both]
    error = len(both[0]["sigma"]) * float(np.sqrt(np.finfo(np.float64).eps * sizes[0] * sizes[1]))
    return {"fid": 0.0 if -error <= found <= 0 else found}


def effective_rank(found: dict[str, Tensor]) -> float:
    """Return (sum of eigenvalues)^2 / sum of squared eigenvalues of the covariance, a number of directions.

    >>> round(effective_rank({"sigma": torch.eye(3)}), 3)
    3.0

    Args:
        found: of `statistics`.

    Returns:
        From 1 to D; 0 for features that do not vary.
    """
    covariance = found["sigma"]
    squares = covariance.square().sum().item()
    return covariance.trace().item() ** 2 / squares if squares > 0 else 0.0


def kernel_distance(fakes: Tensor, reference: Tensor, subsets: int, subset_size: int) -> dict[str, float]:
    """Return the unbiased squared MMD with a cubic kernel over random subsets (Binkowski et al., 2018).

    >>> sorted(kernel_distance(torch.zeros(8, 4), torch.zeros(8, 4), subsets=2, subset_size=4))
    ['kid', 'kid_std']
    """
    options: dict[str, Any] = {"kid_subsets": subsets, "kid_subset_size": subset_size, "rng_seed": SEED}
    found = kid_features_to_metric(fakes, reference, verbose=False, **options)
    return {"kid": found[KEY_METRIC_KID_MEAN], "kid_std": found[KEY_METRIC_KID_STD]}


def precision_and_recall(fakes: Tensor, reference: Tensor) -> dict[str, float]:
    """Return improved precision and recall, 3 neighbours (Kynkaanniemi et al., 2019).

    >>> features = torch.arange(8.0)[:, None]
    >>> {name: float(value) for name, value in precision_and_recall(features, features).items()}
    {'precision': 1.0, 'recall': 1.0}
    """
    # Blocks of 100 MB of distances, and torch-fidelity's own 10,000 rows where those are smaller.
    rows = max(1, min(10_000, 25_000_000 // max(len(fakes), len(reference))))
    found = prc_features_to_metric(fakes, reference, prc_batch_size=rows, save_cpu_ram=True, verbose=False)
    return {"precision": found[KEY_METRIC_PRECISION], "recall": found[KEY_METRIC_RECALL]}
