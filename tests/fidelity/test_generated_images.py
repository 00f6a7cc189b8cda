"""Images that a generator or a folder yields for scores."""

import pytest
import torch
from PIL import Image

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import GeneratedImages
from gan_convnorm.fidelity.images import as_images


class Dropped(torch.nn.Module):
    """A generator with BatchNorm and dropout, in training mode."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(128, 64), torch.nn.BatchNorm1d(64), torch.nn.Dropout(0.5))

    def forward(self, noise):
        return ((self.layers(noise).tanh() + 1) * 127.5).round().byte().view(-1, 1, 8, 8)


def test_a_network_is_scored_in_evaluation_mode():
    torch.manual_seed(0)
    network = Dropped()
    images = torch.cat(list(as_images(network, num_fake=300).batches(0, 300, 100)))
    assert network.training and network.layers[1].num_batches_tracked == 0
    network.eval()
    assert torch.equal(images, torch.cat(list(as_images(network, num_fake=300).batches(0, 300, 100))))


@pytest.mark.parametrize("made", [64, 300])
def test_a_generator_that_makes_another_number_of_images_is_refused(made):
    def always(noise):
        return torch.zeros(made, 1, 8, 8, dtype=torch.uint8)

    with pytest.raises(BadInput, match=f"256 samples were asked for, and {made} came"):
        list(as_images(always, num_fake=300).batches(0, 300, 100))


def test_generated_images_of_two_sizes_are_refused():
    def growing(first, n):
        return torch.zeros(n, 1, 8 + first, 8, dtype=torch.uint8)

    with pytest.raises(BadInput, match=r"shapes \(1, 8, 8\) and \(1, 264, 8\)"):
        list(GeneratedImages(growing, 300, "samples").batches(0, 300, 300))


def test_reading_a_folder_draws_nothing_from_the_global_random_state(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    before = torch.random.get_rng_state()
    list(as_images(tmp_path).batches(0, 1, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
