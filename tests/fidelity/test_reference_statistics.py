"""Statistics of real images in files: FID is that of the images, and files of other content are refused."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from gan_convnorm.cli.score import main
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import Evaluator, ReferenceStatistics, TensorImages, create_extractor, evaluate
from gan_convnorm.fidelity.classifier import trained_weights
from gan_convnorm.fidelity.features import extract
from gan_convnorm.fidelity.statistics_file import read_statistics


@pytest.mark.slow
def test_fid_of_a_file_is_that_of_its_images_to_the_digit(digits, extractor, tmp_path):
    train, test = digits.train_set.tensors[0], digits.test_set.tensors[0]
    options = {"extractor": extractor, "device": "cpu"}
    expected = evaluate(test, train, save_statistics=tmp_path / "digits.npz", **options)
    found = evaluate(test, tmp_path / "digits.npz", **options)
    assert found.values == expected.values and found.ranks == expected.ranks
    assert found.protocol == expected.protocol | {"reference": f"images (statistics in {tmp_path}/digits.npz)"}
    labelled = {"extractor": "classifier", "labelled": digits.train_set.tensors}
    assert evaluate(test, tmp_path / "digits.npz", device="cpu", **labelled).values == expected.values
    # They are a by-product of KID's features as well, and what was read can be written again.
    Evaluator(extractor, train, metrics="fid,kid").save_statistics(tmp_path / "kid.npz")
    Evaluator(extractor, tmp_path / "digits.npz").save_statistics(tmp_path / "again.npz")
    for name in ("kid.npz", "again.npz"):
        assert Evaluator(extractor, ReferenceStatistics.read(tmp_path / name))(test).values == expected.values


@pytest.fixture(scope="module")
def inception_features(digits, inception_weights):
    """Inception, fakes, and the features of real images and of the fakes."""
    inception = create_extractor("inception", metrics=("fid",), weights=inception_weights)
    fakes = digits.test_set.tensors[0][:8]
    real_features, fake_features = (
        extract(inception, TensorImages(images.expand(-1, 3, -1, -1)))["2048"].double().numpy()
        for images in (digits.train_set.tensors[0][:10], fakes)
    )
    return inception, fakes, real_features, fake_features


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_a_file_of_pytorch_fid_is_the_frechet_distance_by_its_definition(inception_features, tmp_path, kind):
    inception, images, real, fakes = inception_features
    # As pytorch-fid's fid_score.py computes and saves them.
    mu, sigma = np.mean(real, axis=0), np.cov(real, rowvar=False)
    np.savez_compressed(tmp_path / "cats.npz", mu=mu.astype(kind), sigma=sigma.astype(kind))
    scores = Evaluator(inception, tmp_path / "cats.npz", metrics="fid")(images)
    # tr (C1 C2)^(1/2) is the sum of the singular values of X1 X2^T, where Ci = Xi^T Xi.
    roots = [(rows - rows.mean(0)) / np.sqrt(len(rows) - 1) for rows in (fakes, real)]
    cross = scipy.linalg.svdvals(roots[0] @ roots[1].T).sum()
    expected = ((fakes.mean(0) - mu) ** 2).sum() + sum((root**2).sum() for root in roots) - 2 * cross
    assert scores.values["fid"] == pytest.approx(expected, rel=1e-4 if kind is np.float64 else 1e-3)
    assert "n_real" not in scores.protocol
    assert "against " + str(tmp_path / "cats.npz") + " (it does not say which images" in scores.meaning()


def statistics(**changed):
    features = np.random.default_rng(0).normal(size=(100, 64))
    return {"mu": features.mean(0), "sigma": np.cov(features, rowvar=False), **changed}


def changed(array, *place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mu": np.zeros(64)}, r"holds mu float64\[64\]; expected the statistics mu \(D,\) and sigma \(D, D\)"),
        (statistics(mu=np.zeros((1, 64))), r"mu float64\[1, 64\].*expected the statistics"),
        (statistics(mu=np.zeros(64, int)), r"mu int64\[64\].*float32 or float64"),
        (statistics(mu=np.array([print])), "holds mu object"),
        (statistics(mu=np.zeros(63)), r"mu is of 63 features, and sigma has the shape \(64, 64\)"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, "mu is of 0 features"),
        (statistics(mu=changed(np.zeros(64), 3, value=np.nan)), "NaN or infinite"),
        (statistics(sigma=changed(np.eye(64), 3, 4, value=np.inf)), "NaN or infinite"),
        (statistics(sigma=changed(np.eye(64), 3, 4, value=1e-3)), "sigma is no covariance: entries differ"),
        (statistics(sigma=changed(np.eye(64), 3, 3, value=-1e-3)), "the smallest variance is -0.001"),
        (statistics(count=np.array(1)), "its statistics are of 1 images; expected 2 or more"),
        (statistics(count=np.array(1.5)), "count is float64 .*expected a whole number"),
        (statistics(extractor=np.array(["a", "b"])), r"extractor is str32 of shape \(2,\); expected a text"),
        (statistics(reference=np.array("a" * 1001)), "reference is str32032 of shape .*; expected a text"),
    ],
)
def test_files_that_hold_no_statistics_are_refused_in_one_line(tmp_path, content, message):
    np.savez(tmp_path / "cats.npz", **content)
    with pytest.raises(BadInput, match=message) as error:
        evaluate(torch.zeros(20, 1, 4, 4, dtype=torch.uint8), tmp_path / "cats.npz")
    assert "\n" not in str(error.value) and "cats.npz" in str(error.value)


def test_rounding_of_float32_is_no_asymmetry(tmp_path):
    content = statistics()
    noise = 1 + 1e-7 * np.random.default_rng(1).choice([-1, 1], size=(64, 64))
    np.savez(tmp_path / "cats.npz", mu=content["mu"], sigma=(content["sigma"] * noise).astype(np.float32))
    assert ReferenceStatistics.read(tmp_path / "cats.npz").sigma.dtype == torch.float64


@pytest.mark.slow
def test_statistics_of_other_features_are_refused(digits, extractor, tmp_path):
    images = digits.test_set.tensors[0]
    path = tmp_path / "cats.npz"
    np.savez(path, mu=np.zeros(2048), sigma=np.eye(2048))
    with pytest.raises(BadInput, match="gives 64 features, and the reference's statistics are of 2048"):
        Evaluator(extractor, path)(images)
    np.savez(path, **statistics(extractor="inception-v3-compat"))
    with pytest.raises(BadInput, match=r"inception-v3-compat features, and labelled-.*; choose --extractor inception"):
        Evaluator(extractor, path)
    np.savez(path, **statistics(extractor="labelled-classifier-2", weights="0" * 64))
    with pytest.raises(BadInput, match=r"labelled-classifier-2 with other weights.*--extractor-weights"):
        Evaluator(extractor, path)
    for metrics, named in (("kid,fid", "kid"), ("prc", "prc"), ("kid,prc", "kid and prc")):
        with pytest.raises(BadInput, match=f"^{named} need the real images, and .*cats.npz holds statistics alone"):
            Evaluator(extractor, path, metrics=metrics)
    with pytest.raises(BadInput, match=r"cats\.npz holds statistics; those of real images .* fakes must be images"):
        evaluate(path, images, extractor=extractor)


def test_an_npz_of_images_beside_statistics_is_images(tmp_path):
    from gan_convnorm.fidelity.reference import as_reference

    # As the reference batches of guided-diffusion.
    images = np.zeros((5, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "batch.npz", arr_0=images, **statistics())
    with pytest.warns(UserWarning, match="entries are not used: mu, sigma"):
        assert len(as_reference(tmp_path / "batch.npz")) == 5


@pytest.fixture
def command(digits, tmp_path, capsys, own_cache, monkeypatch):
    """Runs the command on digits; its exit status, standard output and the errors."""
    monkeypatch.chdir(tmp_path)
    for name, images in (("fakes", digits.test_set), ("real", digits.train_set)):
        np.savez(f"{name}.npz", images=images.tensors[0][:80].numpy())
    weights = trained_weights(digits.train_set.tensors[0][:80])

    def run(*words, weights=weights):
        capsys.readouterr()
        options = ["--device", "cpu", "--isc-splits", "3", "--extractor", "classifier"]
        status = 0
        with warnings.catch_warnings():
            try:
                main([*words, *options, *(["--extractor-weights", str(weights)] if weights else [])])
            except SystemExit as stop:
                status = stop.code
        found = capsys.readouterr()
        return status, found.out, [line for line in found.err.splitlines() if not line.startswith("warning: ")]

    return run


@pytest.mark.slow
def test_command_writes_statistics_and_takes_them(command, own_cache):
    status, out, errors = command("fakes.npz", "real.npz", "--save-statistics", "stats.npz", "--json", "a.json")
    assert (status, errors) == (0, []) and out.splitlines()[-1] == "statistics of the real images: stats.npz"
    # Without its weights: the file says which classifier of the cache it is.
    assert command("fakes.npz", "stats.npz", "--json", "b.json", weights=None)[::2] == (0, [])
    first, second = (json.loads(Path(name).read_text()) for name in ("a.json", "b.json"))
    assert first["values"] == second["values"] and second["protocol"]["n_real"] == 80
    for file in own_cache.glob("rotation-*"):
        file.unlink()
    status, _, (line,) = command("fakes.npz", "stats.npz", weights=None)
    assert status == 2 and "not in the cache folder; give its weights by --extractor-weights" in line


@pytest.mark.slow
def test_command_replaces_statistics_alone(command):
    words = ("fakes.npz", "real.npz", "--save-statistics")
    for _ in range(2):
        assert command(*words, "stats.npz")[::2] == (0, [])
    before = Path("real.npz").read_bytes()
    for name, extra, message in (
        ("real.npz", (), "exists and was not written by this command"),
        ("stats", (), "does not end in .npz"),
        ("none/stats.npz", (), "there is no folder"),
        ("stats.npz", ("--metrics", "kid"), "computed for FID alone, which is not among the metrics"),
    ):
        status, out, (line,) = command(*words, name, *extra)
        assert (status, out) == (2, "") and message in line
    assert Path("real.npz").read_bytes() == before
    assert command(*words, "fakes.npz", "--overwrite")[0] == 0 and "mu" in np.load("fakes.npz")


def test_a_symmetric_matrix_that_is_no_covariance_is_refused(tmp_path):
    """With variances above 0 and a negative one between them, an FID would be negative."""
    sigma = np.eye(4)
    sigma[0, 1] = sigma[1, 0] = 2
    np.savez(tmp_path / "neg.npz", mu=np.zeros(4), sigma=sigma)
    with pytest.raises(BadInput, match="no covariance: the variance in some direction is negative"):
        read_statistics(tmp_path / "neg.npz")
    row = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)  # of fewer images than features
    np.savez(tmp_path / "few.npz", mu=np.zeros(8), sigma=np.cov(row, rowvar=False).astype(np.float32))
    assert read_statistics(tmp_path / "few.npz")["sigma"].shape == (8, 8)
