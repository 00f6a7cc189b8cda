"""The LightningModule: steps, averages, noise, samples."""

import itertools

import pytest
import pytorch_lightning as pl
import torch
from short_training import fit, make_gan, small_gan

from gan_convnorm.data import Digits
from gan_convnorm.errors import BadInput
from gan_convnorm.gan import GAN
from gan_convnorm.gan.export import export
from gan_convnorm.gan.loading import load
from gan_convnorm.images.pixels import bytes_to_images, images_to_bytes
from gan_convnorm.networks import SNGANGenerator
from gan_convnorm.objectives.augmentation import augment
from gan_convnorm.objectives.penalties import PENALTIES
from gan_convnorm.random_streams import SharedRandom, numbered_latents, random_for


class Record(pl.Callback):
    """State after every generator step."""

    def __init__(self):
        self.generators, self.discriminators, self.rates, self.batches = [], [], [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        copy = lambda network: {k: v.clone() for k, v in network.state_dict().items()}  # noqa: E731
        self.generators.append(copy(pl_module.generator))
        self.discriminators.append(copy(pl_module.discriminator))
        self.rates.append([g["lr"] for o in pl_module.optimizers() for g in o.param_groups])
        self.batches.append(len(batch[0]))


def train(**options):
    record = Record()
    gan, trainer = fit(record, **options)
    return gan, record, trainer


@pytest.mark.slow
@pytest.mark.parametrize("n_dis", [1, 3])
@pytest.mark.parametrize("disc_norm", ["spectral", "convnorm"])
def test_a_training_step_is_a_generator_step(n_dis, disc_norm):
    gan, record, trainer = train(steps=4, n_dis=n_dis, disc_norm=disc_norm)
    assert gan.g_step == len(record.batches) == 4
    assert record.batches == [8 * n_dis] * 4
    assert trainer.global_step == 4 * (n_dis + 1)
    for networks in (record.generators, record.discriminators):
        for earlier, later in itertools.pairwise(networks):
            assert any(not torch.equal(earlier[k], later[k]) for k in earlier)


def test_learning_rate_decays_linearly_to_zero():
    _, record, _ = train(steps=4, gen_lr=1e-3, disc_lr=4e-3)
    expected = [[1e-3 * f, 4e-3 * f] for f in (0.75, 0.5, 0.25, 0.0)]
    assert torch.allclose(torch.tensor(record.rates), torch.tensor(expected))


def test_same_seed_same_weights():
    one, two, other = (train(steps=3, seed=seed)[1].generators[-1] for seed in (1, 1, 2))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert any(not torch.equal(one[k], other[k]) for k in one)


def test_noise_is_new_in_every_step():
    noises = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: noises.append(inputs[0]) if isinstance(module, SNGANGenerator) else None
    )
    try:
        train(steps=3, n_dis=2)
    finally:
        hook.remove()
    assert len(noises) == 3 * (2 + 1)
    assert len({noise[0, 0].item() for noise in noises}) == len(noises)


def test_processes_share_the_noise_of_one():
    def draw(rank, world_size, count):
        return SharedRandom(random_for("train", 0, 3), rank, world_size).normal(count, 4)

    whole = draw(0, 1, 6)
    assert torch.equal(torch.cat([draw(rank, 3, 2) for rank in range(3)]), whole)
    assert len(whole.unique()) == whole.numel()
    assert not torch.equal(whole, SharedRandom(random_for("train", 0, 4)).normal(6, 4))
    assert not torch.equal(whole, SharedRandom(random_for("train", 1, 3)).normal(6, 4))


def test_average_is_of_the_generator_alone():
    gan, record, _ = train(steps=4, ema_decay=0.15)
    expected = {k: v.clone() for k, v in record.generators[0].items()}
    for step, weights in enumerate(record.generators[1:], start=1):
        decay = min(0.15, (1 + step) / (10 + step))
        for name, value in weights.items():
            if "running" in name or "num_batches" in name:
                expected[name] = value  # statistics are copied
            else:
                expected[name] = decay * expected[name] + (1 - decay) * value
    found = gan.generator_ema.state_dict()
    assert all(torch.allclose(found[k].float(), expected[k].float(), atol=1e-6) for k in expected)
    assert not any(p.requires_grad for p in gan.generator_ema.parameters())
    assert not [name for name in gan.state_dict() if "ema" in name and "discriminator" in name]


def test_a_checkpoint_loads_in_python(tmp_path):
    gan, _, trainer = train(steps=2, disc_norm="convnorm", disc_norm_options={"gain": "lipschitz", "affine": None})
    trainer.save_checkpoint(tmp_path / "gan.ckpt")
    loaded = GAN.load_from_checkpoint(tmp_path / "gan.ckpt")
    assert loaded.discriminator.blocks[0].conv1.options.gain == "lipschitz"
    assert loaded.g_step == 2
    assert torch.equal(loaded.sample(5), gan.sample(5))


@pytest.mark.parametrize("file", ["best.ckpt", "exported", "pretrained"])
def test_a_device_that_is_not_here_is_named(tmp_path, file):
    gan, _, trainer = train(steps=1)
    trainer.save_checkpoint(tmp_path / "best.ckpt")
    export(tmp_path / "best.ckpt", tmp_path / "exported")
    gan.save_pretrained(tmp_path / "pretrained")
    with pytest.raises(BadInput, match=r"the device 'cuda:99' is not here \(--device\); there are: cpu"):
        load(tmp_path / file, "cuda:99")


def test_samples_do_not_depend_on_how_they_are_asked_for():
    gan = small_gan()
    whole = gan.sample(300)
    assert whole.shape == (300, 1, 16, 16) and whole.dtype == torch.uint8
    parts = torch.cat([gan.sample(170, batch_size=33), gan.sample(130, first=170)])
    assert (whole.int() - parts.int()).abs().max() <= 1  # rounding at another batch size
    assert not torch.equal(gan.sample(4, seed=1), gan.sample(4, seed=2))
    assert torch.equal(gan.sample(4), gan.sample(4, seed=0))


def test_sampling_disturbs_nothing():
    gan = small_gan().train()
    before = {k: v.clone() for k, v in gan.state_dict().items()}
    state = torch.get_rng_state()
    gan.sample(5, ema=False)
    assert torch.equal(torch.get_rng_state(), state)
    assert gan.generator.training
    assert all(torch.equal(before[k], v) for k, v in gan.state_dict().items())


def test_bytes_survive_the_way_to_images_and_back():
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(50, -1, -1, -1)
    scaled = bytes_to_images(images, SharedRandom(torch.Generator().manual_seed(0)))
    assert scaled.min() >= -1 and scaled.max() <= 1
    assert torch.equal(images_to_bytes(scaled), images)
    assert images_to_bytes(torch.tensor([-1.0, 1.0])).tolist() == [0, 255]


def test_wrong_input_says_what_was_expected():
    with pytest.raises(BadInput, match=r"torch\.float32 images; expected uint8"):
        bytes_to_images(torch.zeros(1, 1, 4, 4), SharedRandom(torch.Generator()))
    with pytest.raises(BadInput, match="steps is 0"):
        make_gan(steps=0)
    with pytest.raises(BadInput, match="n_dis is -1"):
        make_gan(n_dis=-1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"loss": "non_saturating", "penalty": "r1"},
        {"loss": "least_squares", "penalty": "dragan", "conditional": True},
        {"loss": "wasserstein", "penalty": "wgan_gp", "penalty_weight": 3.0, "disc_norm": "convnorm"},
        {"loss": "relativistic", "penalty": "r2", "augmentation": "color,translation,cutout,flip"},
        {"gradient_normalization": True, "disc_norm": "none", "conditional": True},
        {"network": "dcgan", "attention": 8, "head_bias": True},
        {"plan": {"bottom": 8, "generator": [64, 32], "discriminator": [[32, True], [32, False]]}},
    ],
    ids=lambda options: "-".join(map(str, options.values()))[:30],
)
def test_every_choice_trains_and_resumes(options, tmp_path):
    options = {"num_classes": 10, **options}
    gan, record, trainer = train(steps=2, n_dis=2, **options)
    for networks in (record.generators, record.discriminators):
        assert any(not torch.equal(networks[0][k], networks[1][k]) for k in networks[0])
        assert all(value.isfinite().all() for value in networks[1].values())
    trainer.save_checkpoint(tmp_path / "gan.ckpt")
    assert torch.equal(GAN.load_from_checkpoint(tmp_path / "gan.ckpt").sample(3), gan.sample(3))


def test_classes_of_samples():
    gan = small_gan(num_classes=10, conditional=True)
    for embedding in [m for m in gan.generator_ema.modules() if isinstance(m, torch.nn.Embedding)]:
        torch.nn.init.normal_(embedding.weight)
    every = gan.sample(25)
    assert torch.equal(every, gan.sample(25, labels=torch.arange(25) % 10))
    assert torch.equal(gan.sample(3, first=12), gan.sample(3, first=12, labels=torch.tensor([2, 3, 4])))
    assert torch.equal(gan.sample(2, labels=7), gan.sample(2, labels=torch.tensor([7, 7])))
    assert not torch.equal(gan.sample(2, labels=7), gan.sample(2, labels=6))
    assert torch.equal(gan.sample(2, labels=[7, 3]), gan.sample(2, labels=torch.tensor([7, 3])))
    for labels in (10, -1, torch.arange(3), [1, 2, 3], [7, 10], [0.5, 1.0], torch.ones(2), "cat", [[1], [2, 3]]):
        with pytest.raises(BadInput, match="expected 2 whole numbers from 0 to 9"):
            gan.sample(2, labels=labels)
    with pytest.raises(BadInput, match="trained without classes"):
        small_gan(num_classes=10).sample(2, labels=1)
    with pytest.raises(BadInput, match="seed is -1, and must be 0 or more"):
        gan.sample(2, seed=-1)
    with pytest.raises(BadInput, match="the data has no classes"):
        make_gan(conditional=True)


def test_truncation_narrows_the_noise():
    whole, narrow = numbered_latents(0, 20_000, 2, 0), numbered_latents(0, 20_000, 2, 0, truncation=0.5)
    assert narrow.abs().max() <= 0.5
    assert torch.equal(whole[:, 0].argsort(), narrow[:, 0].argsort())
    # Variance of a normal distribution cut at +-t: 1 - 2 t phi(t) / (2 Phi(t) - 1), phi its density.
    assert narrow.std().item() == pytest.approx((1 - 0.352065 / 0.382925 * 2 * 0.5) ** 0.5, abs=5e-3)
    with pytest.raises(BadInput, match="truncation is 0"):
        numbered_latents(0, 1, 2, 0, truncation=0)
    gan = small_gan()
    assert not torch.equal(gan.sample(4), gan.sample(4, truncation=0.1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hing"}, "loss 'hing' is not known; choose one of: hinge"),
        ({"penalty": "gp"}, "penalty 'gp' is not known; choose one of: wgan_gp"),
        ({"penalty_weight": 1.0}, "penalty_weight is 1, and there is no penalty"),
        ({"penalty": "r1", "penalty_weight": -1.0}, "penalty_weight is -1, and it must be 0 or above"),
        ({"augmentation": "colour"}, "augmentation 'colour' is not known"),
        ({"network": "biggan"}, "network 'biggan' is not known; choose one of: sngan, dcgan"),
    ],
)
def test_unknown_choices_list_the_known(options, message):
    with pytest.raises(BadInput, match=message):
        make_gan(**options)


@pytest.mark.parametrize("norm", ["batch", "convnorm+batch", "spectral"])
def test_a_discriminator_with_batch_norm_sees_real_and_fake_images_apart(norm):
    """In the generator's step it sees fakes alone, so its statistics must be of one kind of image in its own."""
    torch.manual_seed(0)
    module = small_gan(disc_norm=norm).double()
    real, fake = torch.randn(6, 1, 16, 16).double(), torch.randn(6, 1, 16, 16).double() + 1
    seen = []
    hook = module.discriminator.register_forward_pre_hook(lambda _, arguments: seen.append(len(arguments[0])))
    found = module.objective.discriminator_loss(module.discriminator, real, fake, None, None, torch.Generator())
    hook.remove()
    assert seen == ([12] if norm == "spectral" else [6, 6])
    if norm == "batch":
        scores = [module.discriminator(images, None) for images in (real, fake)]
        expected = (1 - scores[0]).relu().mean() + (1 + scores[1]).relu().mean()
        assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_sampling_gives_every_part_its_own_mode_back():
    gan = small_gan().train()
    gan.generator.blocks[0].eval()  # as a part that is frozen
    modes = [module.training for module in gan.modules()]
    gan.sample(2, ema=False)
    assert [module.training for module in gan.modules()] == modes


class Rates(pl.Callback):
    """Rates and betas at the start of every step."""

    def __init__(self):
        self.found = []

    def on_train_batch_start(self, trainer, module, *args):
        groups = [optimizer.param_groups[0] for optimizer in trainer.optimizers]
        self.found.append([module.g_step, *((group["lr"], tuple(group["betas"])) for group in groups)])


def test_a_resumed_run_has_the_rates_and_betas_that_it_is_given(tmp_path):
    gan, trainer = fit(steps=4, gen_lr=0.002, disc_lr=0.002)
    trainer.save_checkpoint(tmp_path / "four.ckpt")
    before = {name: value.clone() for name, value in gan.state_dict().items()}
    rates = Rates()
    resumed = small_gan(steps=8, gen_lr=0.001, disc_lr=0.004, beta1=0.5)
    options = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer = pl.Trainer(max_epochs=-1, callbacks=[rates], limit_val_batches=0, accelerator="cpu", **options)
    trainer.fit(resumed, Digits(batch_size=8), ckpt_path=tmp_path / "four.ckpt")
    betas = (0.5, 0.9)
    assert rates.found == [
        [step, (0.001 * (1 - step / 8), betas), (0.004 * (1 - step / 8), betas)] for step in range(4, 8)
    ]
    assert any(not torch.equal(value, before[name]) for name, value in resumed.state_dict().items())


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_noise_does_not_depend_on_the_default_type(default):
    """Lightning changes it in the steps of a run in double or half precision."""

    def draws():
        shared = SharedRandom(random_for("train", 0))
        images = torch.linspace(-1, 1, 64, dtype=torch.float32).view(4, 1, 4, 4)
        yield from (numbered_latents(0, 2, 8, seed=1), shared.normal(2, 3), shared.uniform(2, 3))
        yield augment(images, ["color", "translation", "cutout", "flip"], torch.Generator().manual_seed(0))
        rng = torch.Generator().manual_seed(0)
        yield from (PENALTIES[name].points(images, images.flip(0), rng) for name in ("wgan_gp", "dragan"))

    expected = list(draws())
    torch.set_default_dtype(default)
    try:
        found = list(draws())
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latents": torch.zeros(2, 7)}, r"shape \(2, 7\); expected \(n, 128\)"),
        ({"latents": torch.zeros(0, 128)}, r"shape \(0, 128\)"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"labels": None}, "takes labels, and none are given"),
        ({"labels": torch.tensor([0, 10])}, "expected 2 whole numbers from 0 to 9"),
        ({"labels": torch.tensor([0])}, "expected 2 whole numbers from 0 to 9"),
    ],
)
def test_latents_and_labels_that_cannot_be_decoded_are_refused(options, message):
    gan = small_gan(num_classes=10, conditional=True)
    with pytest.raises(BadInput, match=message):
        gan.decode(**{"latents": torch.zeros(2, 128), "labels": torch.tensor([0, 1])} | options)
