"""Scores by torch-fidelity's own calculation."""

import pytest
import torch_fidelity
from torch.utils.data import Dataset


class Images(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


NAMES = {
    "fid": "frechet_inception_distance",
    "isc": "inception_score_mean",
    "isc_std": "inception_score_std",
    "kid": "kernel_inception_distance_mean",
    "kid_std": "kernel_inception_distance_std",
    "precision": "precision",
    "recall": "recall",
}


def torch_fidelity_scores(fakes, real, extractor, weights, metrics=("isc", "fid", "kid", "prc"), **options):
    """Return torch-fidelity's scores of tensors or folders, by the names that they have here."""
    found = torch_fidelity.calculate_metrics(
        input1=fakes if isinstance(fakes, str) else Images(fakes),
        input2=real if isinstance(real, str) else Images(real),
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
        feature_extractor=extractor,
        feature_extractor_weights_path=str(weights),
        **dict.fromkeys(metrics, True),
        **options,
    )
    return {ours: found[theirs] for ours, theirs in NAMES.items() if theirs in found}


def assert_same(values, expected, rel=1e-6):
    assert set(values) == set(expected)
    for name, value in expected.items():
        # Rounding of features shows in the deviations and in KID as in values of the kernel, which are about 1.
        absolute = {"isc_std": 1e-6, "kid_std": 1e-7, "kid": 1e-7}.get(name, 0)
        assert values[name] == pytest.approx(value, rel=rel, abs=absolute), name
