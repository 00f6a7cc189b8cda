"""A classifier of timm, or of torchvision where timm is missing, with ConvNorm in place of its BatchNorm, on digits.

python examples/timm_classifier_convnorm.py --model resnet10t --epochs 5
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from torch.nn import functional as F

from gan_convnorm.data import Digits
from gan_convnorm.layers import convert


def build_model(name: str) -> nn.Module:
    """Return a classifier of grey images with ten classes: timm's of this name, else torchvision's resnet18."""
    try:
        import timm
    except ImportError:
        print("timm is not installed (pip install timm); using torchvision's resnet18")
        import torchvision

        network = torchvision.models.resnet18(num_classes=10)
        network.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        return network
    return timm.create_model(name, in_chans=1, num_classes=10)


def accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of images, from 0 to 1, whose class the network finds in evaluation mode."""
    network.eval()
    with torch.no_grad():
        found = torch.cat([network(part).argmax(1) for part in images.split(128)])
    network.train()
    return (found == labels).float().mean().item()


def main(argv: list[str] | None = None) -> float:
    """Return the test accuracy, from 0 to 1, of the converted classifier after training it.

    Args:
        argv: the command line's words; those of the program when not given.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet10t", help="a name of timm.list_models()")
    parser.add_argument("--norm", default="convnorm", help="a name of docs/norms.md; none trains the model as it is")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, default=None, help="train on the first images only")
    options = parser.parse_args(argv)
    torch.manual_seed(0)
    data = Digits(resolution=32)
    data.setup()
    (images, labels), (test_images, test_labels) = data.train_set.tensors, data.test_set.tensors
    images, test_images = images[: options.images] / 127.5 - 1, test_images / 127.5 - 1
    labels = labels[: options.images]

    network = build_model(options.model)
    if options.norm != "none":
        network, report = convert(network, options.norm)
        print(str(report).splitlines()[-1])
        for name, reason in report.left.items():
            print(f"  left {name}: {reason}")
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.01)
    for epoch in range(options.epochs):
        total = 0.0
        for batch in torch.randperm(len(images)).split(64):
            loss = F.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch}: loss {total / len(images):.3f}", flush=True)
    share = accuracy(network, test_images, test_labels)
    print(f"test accuracy {100 * share:.1f}% of {len(test_images)} images")
    return share


if __name__ == "__main__":
    main()
