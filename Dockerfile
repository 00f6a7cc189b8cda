# The package in a container, with its tests.
#
#   docker build -t gan_convnorm .
#   docker run --rm -v "$PWD/checkpoints/runs:/gan_convnorm/checkpoints/runs" gan_convnorm          the main job
#   docker run --rm gan_convnorm python -m pytest                                                 the tests
#   docker run --rm --gpus all -v "$PWD/checkpoints/runs:/gan_convnorm/checkpoints/runs" gan_convnorm    on a GPU
#
# PyTorch as pip finds it runs on CPUs and on NVIDIA GPUs, and is large. For a CPU alone, which needs much less, or for
# one version of CUDA, give the words that the selector on pytorch.org puts after "pip install":
#
#   docker build --build-arg TORCH="WORDS" -t gan_convnorm .
FROM python:3.12-slim

ARG TORCH="torch>=2.11 torchvision>=0.26"

WORKDIR /gan_convnorm
ENV XDG_CACHE_HOME=/cache MPLCONFIGDIR=/cache/matplotlib
RUN useradd --create-home --uid 1000 researcher \
    && mkdir -p /cache checkpoints/runs \
    && chmod 1777 /cache . checkpoints checkpoints/runs

# Before the package's files, so that a change of these does not install PyTorch again.
# hadolint ignore=DL3013,SC2086  # versions are those that pyproject.toml allows; the words are several
RUN python -m pip install --no-cache-dir ${TORCH}

COPY . .
RUN python -m pip install --no-cache-dir -e ".[test]"

USER 1000
CMD ["python", "train_gan.py", "--disc-norm", "convnorm"]
