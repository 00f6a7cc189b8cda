"""IS, FID, KID, precision and recall through torch-fidelity, on any number of processes."""

from typing import TYPE_CHECKING, Any

from gan_convnorm.fidelity.evaluate import evaluate
from gan_convnorm.fidelity.evaluator import Evaluator
from gan_convnorm.fidelity.extractor_weights import check_weights_file
from gan_convnorm.fidelity.extractors import EXTRACTORS, check_labelled, create_extractor, registered_name
from gan_convnorm.fidelity.generated_images import GeneratedImages
from gan_convnorm.fidelity.image_counts import check_num_fake, check_numbers, check_sizes
from gan_convnorm.fidelity.image_files import FolderImages
from gan_convnorm.fidelity.image_set import TensorImages
from gan_convnorm.fidelity.intra_class import check_classes, intra_class_fid
from gan_convnorm.fidelity.metrics import METRICS, parse_metrics
from gan_convnorm.fidelity.processes import Processes
from gan_convnorm.fidelity.protocols import PROTOCOLS, Protocol, protocol_named
from gan_convnorm.fidelity.reference_statistics import ReferenceStatistics
from gan_convnorm.fidelity.scores import Scores

if TYPE_CHECKING:
    from gan_convnorm.fidelity.metric import FidelityMetric

__all__ = [
    "EXTRACTORS",
    "METRICS",
    "PROTOCOLS",
    "Evaluator",
    "FidelityMetric",
    "FolderImages",
    "GeneratedImages",
    "Processes",
    "Protocol",
    "ReferenceStatistics",
    "Scores",
    "TensorImages",
    "check_classes",
    "check_labelled",
    "check_num_fake",
    "check_numbers",
    "check_sizes",
    "check_weights_file",
    "create_extractor",
    "evaluate",
    "intra_class_fid",
    "parse_metrics",
    "protocol_named",
    "registered_name",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    # torchmetrics imports scipy.signal and matplotlib, which scores do without.
    if name == "FidelityMetric":
        from gan_convnorm.fidelity.metric import FidelityMetric

        return FidelityMetric
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
