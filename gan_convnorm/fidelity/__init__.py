"""IS, FID, KID, precision and recall through torch-fidelity, on any number of processes."""

from gan_convnorm.fidelity.evaluate import evaluate
from gan_convnorm.fidelity.evaluator import Evaluator
from gan_convnorm.fidelity.extractor_weights import check_weights_file
from gan_convnorm.fidelity.extractors import EXTRACTORS, check_labelled, create_extractor, registered_name
from gan_convnorm.fidelity.generated_images import GeneratedImages
from gan_convnorm.fidelity.image_counts import check_num_fake, check_numbers
from gan_convnorm.fidelity.image_files import FolderImages
from gan_convnorm.fidelity.image_set import TensorImages
from gan_convnorm.fidelity.intra_class import check_classes, intra_class_fid
from gan_convnorm.fidelity.metric import FidelityMetric
from gan_convnorm.fidelity.metrics import METRICS, parse_metrics
from gan_convnorm.fidelity.processes import Processes
from gan_convnorm.fidelity.protocols import PROTOCOLS, Protocol, protocol_named
from gan_convnorm.fidelity.reference_statistics import ReferenceStatistics
from gan_convnorm.fidelity.scores import Scores

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
    "check_weights_file",
    "create_extractor",
    "evaluate",
    "intra_class_fid",
    "parse_metrics",
    "protocol_named",
    "registered_name",
]
