"""ConvNorm in a ResNet's training script: three lines turn torchvision's network into the converted one.

The published ConvNorm of classifiers keeps the BatchNorm behind each convolution. Here it is `--batch-norm keep`; with
`replace` the ConvNorm layers stand alone. `--norm none` is the script before the three lines.

python examples/resnet_recipe.py --norm convnorm --batch-norm keep
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, ResNet

from gan_convnorm.data import Digits
from gan_convnorm.layers import convert


def small_resnet(num_classes: int = 10) -> nn.Module:
    """Return torchvision's ResNet with one block a stage, a 3x3 stem without pooling, for small grey images."""
    network = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=num_classes)
    network.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network


def main(argv: list[str] | None = None) -> float:
    """Return the test accuracy, from 0 to 1, after training on scikit-learn's digits.

    Args:
        argv: the command line's words; those of the program when not given.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--norm", default="convnorm", help="a name of docs/norms.md; none changes nothing")
    parser.add_argument("--batch-norm", choices=("replace", "keep"), default="keep")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=None, help="train on the first images only")
    options = parser.parse_args(argv)
    torch.manual_seed(0)
    data = Digits(resolution=16)
    data.setup()
    (images, labels), (test_images, test_labels) = data.train_set.tensors, data.test_set.tensors
    images, labels = images[: options.images] / 127.5 - 1, labels[: options.images]

    network = small_resnet()
    if options.norm != "none":
        network, report = convert(network, options.norm, batch_norm=options.batch_norm)
        print(f"{options.norm}: {str(report).splitlines()[-1]}")

    batches = max(1, len(images) // 64) * options.epochs
    # No weight decay on one-dimensional parameters: gains, biases and the BatchNorms' scales.
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=batches)
    for epoch in range(options.epochs):
        network.train()
        order = torch.randperm(len(images))
        for number in range(batches // options.epochs):
            batch = order[number * 64 : number * 64 + 64]
            loss = F.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            found = torch.cat([network(part / 127.5 - 1).argmax(1) for part in test_images.split(128)])
        share = (found == test_labels).float().mean().item()
        print(f"epoch {epoch}: last loss {loss.item():.3f}, test accuracy {100 * share:.1f}%", flush=True)
    return share


if __name__ == "__main__":
    main()
