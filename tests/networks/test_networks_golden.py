"""Names and shapes of every network's state: a checkpoint of today loads tomorrow.

After a deliberate change ``python tests/networks/test_networks_golden.py`` writes the files anew.
"""

from pathlib import Path

import pytest
import torch

from gan_convnorm.networks import NETWORKS, find_networks
from gan_convnorm.networks.sngan import PLANS

GOLDEN = Path(__file__).parents[1] / "golden"
MODELS = {f"{name}_{resolution}": (name, resolution, "none", {}) for name in NETWORKS for resolution in PLANS}
MODELS |= {
    f"{name}_32_spectral_conditional_attention": (name, 32, "spectral", {"num_classes": 10, "attention": 16})
    for name in NETWORKS
}


def state_of(model):
    name, resolution, norm, options = MODELS[model]
    # Without storage, as long as nothing is computed: spectral norm iterates when it is made.
    with torch.device("meta" if norm == "none" else "cpu"):
        networks = find_networks(name)
        pair = {
            "generator": networks.generator(resolution, **options),
            "discriminator": networks.discriminator(resolution, norm=norm, **options),
        }
    return [
        f"{which}.{key} {'x'.join(map(str, value.shape)) or 'scalar'}"
        for which, network in pair.items()
        for key, value in network.state_dict().items()
    ]


@pytest.mark.parametrize("model", MODELS)
def test_names_and_shapes_are_the_golden_ones(model):
    assert state_of(model) == (GOLDEN / f"{model}.txt").read_text().splitlines()


def test_every_golden_file_is_of_a_model():
    assert {path.stem for path in GOLDEN.iterdir()} == set(MODELS)


if __name__ == "__main__":
    for model in MODELS:
        (GOLDEN / f"{model}.txt").write_text("\n".join(state_of(model)) + "\n")
