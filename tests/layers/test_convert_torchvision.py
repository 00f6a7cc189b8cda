"""Converted classifiers, segmenters and detectors of torchvision: a step of training, evaluation, and a reload."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import detection, segmentation
from torchvision.models.detection.backbone_utils import mobilenet_backbone
from torchvision.ops import FrozenBatchNorm2d

from gan_convnorm.layers import ConvNorm2d, convert

BARE = {"weights": None, "weights_backbone": None}
SMALL = {"min_size": 64, "max_size": 64}


def frozen_faster_rcnn():
    backbone = mobilenet_backbone(
        backbone_name="mobilenet_v3_large", weights=None, fpn=True, norm_layer=FrozenBatchNorm2d, trainable_layers=6
    )
    anchors = detection.rpn.AnchorGenerator(((32, 64),) * 3, ((1.0,),) * 3)
    return detection.FasterRCNN(backbone, num_classes=3, rpn_anchor_generator=anchors, **SMALL)


def deeplabv3():
    """With a third of the published dilations, whose grids of 80 by 80 pixels take most of the time."""
    network = segmentation.deeplabv3_mobilenet_v3_large(**BARE, num_classes=3)
    network.classifier = segmentation.deeplabv3.DeepLabHead(960, 3, (4, 8, 12))
    return network


CLASSIFIERS = {
    "densenet121": lambda: torchvision.models.densenet121(num_classes=10),
    "shufflenet_v2": lambda: torchvision.models.shufflenet_v2_x0_5(num_classes=10),
    "squeezenet": lambda: torchvision.models.squeezenet1_1(num_classes=10),
    "swin_t": lambda: torchvision.models.swin_t(num_classes=10),
}
SEGMENTERS = {
    "deeplabv3": deeplabv3,
    "lraspp": lambda: segmentation.lraspp_mobilenet_v3_large(**BARE, num_classes=3),
    "fcn": lambda: segmentation.fcn_resnet50(**BARE, num_classes=3),
}
DETECTORS = {
    "faster_rcnn": lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(**BARE, num_classes=3, **SMALL),
    "faster_rcnn_frozen": frozen_faster_rcnn,
    "retinanet": lambda: detection.retinanet_resnet50_fpn(**BARE, num_classes=3, **SMALL),
    "ssdlite": lambda: detection.ssdlite320_mobilenet_v3_large(**BARE, num_classes=3),
}
#: BatchNorms that stay, by the reason
LEFT = {"densenet121": "it follows no convolution directly", "faster_rcnn_frozen": "is a FrozenBatchNorm2d"}


def converted(network, name):
    """Convert a network, and check the report against its layers."""
    convolutions = {n for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    norms = {n for n, m in network.named_modules() if isinstance(m, (nn.BatchNorm2d, FrozenBatchNorm2d))}
    network, report = convert(network.train(), options={"strided": "fold"})
    assert set(report.changed) == convolutions
    assert all(isinstance(network.get_submodule(n), ConvNorm2d) for n in convolutions)
    kept = {n for n in norms if not isinstance(network.get_submodule(n), nn.Identity)}
    assert set(report.left) == kept
    assert bool(kept) == (name in LEFT)
    assert all(LEFT[name] in reason for reason in report.left.values())
    return network


def stepped(network, loss):
    """Make one step of SGD, and check that every layer had part in it."""
    loss.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    layers = [m for m in network.modules() if isinstance(m, ConvNorm2d)]
    # Some layers have a part in the loss of other images alone: a box that none of the anchors is near.
    assert sum(m.weight.grad is not None for m in layers) >= 0.95 * len(layers)
    torch.optim.SGD(network.parameters(), 1e-3).step()
    return network.eval()


def check_reload(network, run):
    """Check that another copy with other weights computes the same after loading the state."""
    with torch.no_grad():
        expected = run(network)
        again = copy.deepcopy(network)
        for layer in again.modules():
            if isinstance(layer, ConvNorm2d):
                layer.reset_parameters()
        assert not torch.equal(run(again), expected)
        again.load_state_dict(network.state_dict())
        torch.testing.assert_close(run(again), expected)
    assert torch.isfinite(expected).all()
    return expected


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CLASSIFIERS, *SEGMENTERS])
def test_classifiers_and_segmenters(name):
    torch.manual_seed(0)
    network = converted((CLASSIFIERS | SEGMENTERS)[name](), name)
    images = torch.randn(2, 3, 64, 64)

    def run(network):
        output = network(images)
        return output["out"] if isinstance(output, dict) else output

    network = stepped(network, run(network).square().mean())
    assert check_reload(network, run).shape == ((2, 10) if name in CLASSIFIERS else (2, 3, 64, 64))


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_detectors(name):
    torch.manual_seed(0)
    network = converted(DETECTORS[name](), name)
    images = [torch.rand(3, 64, 64), torch.rand(3, 64, 64)]
    boxes = {"boxes": torch.tensor([[5.0, 5.0, 40.0, 50.0]]), "labels": torch.tensor([1])}
    network = stepped(network, sum(network(images, [boxes, boxes]).values()))
    found = network(images)
    assert all(set(one) == {"boxes", "labels", "scores"} for one in found)
    check_reload(network, lambda network: torch.cat([f.flatten() for f in network.backbone(images[0][None]).values()]))
