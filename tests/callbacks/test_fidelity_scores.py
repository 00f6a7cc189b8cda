"""Scores during training: which images, which names, what is warned of, and no effect on the training."""

import json
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from short_training import small_gan

import gan_convnorm
from gan_convnorm.callbacks import FidelityScores
from gan_convnorm.cli import main
from gan_convnorm.data import Digits
from gan_convnorm.errors import BadInput
from gan_convnorm.gan import GAN
from gan_convnorm.run_folder import read_rows

INTRA_CLASS = ["--conditional", "--scores.intra_class", "true"]
SMALL = ["--width", "0.05", "--batch-size", "4", "--model.optimization.gen_batch_size", "4"]


pytestmark = pytest.mark.usefixtures("working_folder")


def fit(callbacks, steps=3):
    trainer = pl.Trainer(
        max_epochs=-1,
        val_check_interval=1,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    pl.seed_everything(1, verbose=False)
    gan = small_gan(steps=steps)
    trainer.fit(gan, Digits(batch_size=4))
    return trainer, gan


@pytest.mark.parametrize(
    ("metrics", "best"), [("isc,fid", "fid"), ("isc", "isc"), ("isc,kid", "kid"), ("prc", "recall"), ("prc,isc", "isc")]
)
def test_the_best_checkpoint_is_of_a_score_that_is_computed(metrics, best):
    assert FidelityScores(metrics=metrics).taken.best == best


@pytest.mark.slow
def test_training_is_the_same_without_scores():
    scored = fit([FidelityScores(num_fake=20, metrics="isc,fid,kid,prc", weights="both")])[1]
    plain = fit([])[1]
    for name, value in plain.state_dict().items():
        assert torch.equal(value, scored.state_dict()[name]), name


@pytest.mark.slow
def test_final_scores_follow_the_whole_protocol(capsys):
    words = [*SMALL, "--num-fake", "60", "--scores.interim_num_fake", "20", "--metrics", "isc,fid,kid,prc"]
    main([*words, "--steps", "4", "--eval-every", "2", "--scores.best", "kid", "--out", "run"])
    out = capsys.readouterr().out
    rows = [row for row in read_rows(Path("run/metrics.csv")) if row["fid"]]
    assert [bool(row["final_fid"]) for row in rows] == [False, True]
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["protocol"]["n_fake"] == 20 and summary["final"]["protocol"]["n_fake"] == 60
    assert summary["final"]["values"]["kid"] == pytest.approx(float(rows[1]["final_kid"]))
    assert summary["best_of"] == "kid"
    assert summary["best"]["kid"] == pytest.approx(min(float(row["kid"]) for row in rows))
    for word in (
        "precision",
        "recall",
        "KID",
        "scores (custom): 60 EMA samples",
        "scores (custom): 20 EMA samples",
        "scored by the whole protocol",
    ):
        assert word in out
    best = torch.load("run/best.ckpt", weights_only=True)
    assert best["g_step"] == summary["best"]["g_step"]
    main(["validate", "--ckpt_path", "run/last.ckpt", "--metrics", "fid,kid"])
    assert f"FID {summary['final']['values']['fid']:.2f}  KID" in capsys.readouterr().out


@pytest.mark.slow
def test_named_protocols_choose_number_and_split(capsys):
    scores = FidelityScores(protocol="test-5k")
    assert (scores.num_fake, scores.protocol.split, scores.interim_num_fake) == (5000, "test", 2000)
    assert FidelityScores(protocol="train-50k").num_fake == 50_000
    main([*SMALL, "--steps", "1", "--eval-every", "1", "--out", "run", "--protocol", "test-5k", "--num-fake", "20"])
    assert "scores (custom): 20 EMA samples against 360 digits test images" in capsys.readouterr().out
    main([*SMALL, "--steps", "1", "--eval-every", "1", "--out", "two"])
    assert json.loads(Path("two/summary.json").read_text())["protocol"]["name"] == "quick"


@pytest.mark.slow
def test_both_weights_have_names_of_their_own():
    callback = FidelityScores(num_fake=20, weights="both")
    trainer, _ = fit([callback])
    metrics = trainer.callback_metrics
    assert {"fid", "isc", "raw_fid", "raw_isc"} <= set(metrics)
    assert metrics["fid"] != metrics["raw_fid"]
    assert callback.taken.last.protocol["fake"] == "EMA samples"
    raw = FidelityScores(num_fake=20, weights="raw")
    assert fit([raw])[0].callback_metrics["fid"] == metrics["raw_fid"]
    assert raw.taken.last.protocol["fake"] == "samples"


class Constant(pl.Callback):
    """Makes the generator forget its noise."""

    def on_train_batch_end(self, trainer, pl_module, *args):
        for network in (pl_module.generator, pl_module.generator_ema):
            for parameter in network.parameters():
                parameter.data.zero_()


@pytest.mark.slow
def test_collapse_is_warned_of_and_stops_on_request():
    with pytest.warns(UserWarning, match=r"collapsed: their features vary in 0\.0 directions"):
        assert fit([Constant(), FidelityScores(num_fake=20)])[1].g_step == 3
    with pytest.warns(UserWarning, match="collapsed"):
        assert fit([Constant(), FidelityScores(num_fake=20, stop_on_collapse=True)])[1].g_step == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": "fdi"}, "metric 'fdi' is not known; choose from: isc, fid, kid, prc"),
        ({"protocol": "train-5k"}, "protocol 'train-5k' is not known; choose one of: quick, train-50k, test-5k"),
        ({"best": "kid"}, "best is 'kid'; with these metrics choose one of: fid, isc"),
        ({"weights": "average"}, "choose one of: ema, raw, both"),
        ({"interim_num_fake": 3}, "IS over 10 splits needs 20"),
        ({"batch_size": 0}, "batch_size is 0, and must be 1 or more"),
        ({"num_fake": 1e2}, "num_fake is 100.0, and must be a whole number"),
        ({"isc_splits": 2.0}, "isc_splits is 2.0, and must be a whole number"),
    ],
)
def test_options_are_checked_before_a_run(options, message):
    with pytest.raises(BadInput, match=message):
        FidelityScores(**options)


@pytest.mark.slow
def test_missing_weights_end_a_run_before_it_starts(capsys):
    with pytest.raises(SystemExit) as stop:
        main([*SMALL, "--steps", "1", "--out", "run", "--extractor", "inception", "--extractor-weights", "none.pth"])
    assert stop.value.code == 2
    assert "there is no weights file none.pth; expected the file that torch-fidelity fetches from" in (
        capsys.readouterr().err
    )
    assert not Path("run").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_a_loaded_checkpoint_is_a_source(digits):
    main([*SMALL, "--steps", "2", "--eval-every", "2", "--num-fake", "300", "--out", "run"])
    gan = gan_convnorm.load("run/last.ckpt")
    assert not gan.training and gan.g_step == 2
    from gan_convnorm.fidelity import evaluate

    options = {"extractor": "classifier", "labelled": digits.train_set.tensors, "num_fake": 300, "device": "cpu"}
    found = evaluate(gan, digits.train_set.tensors[0], **options)
    logged = json.loads(Path("run/summary.json").read_text())["last"]
    assert found.values["fid"] == pytest.approx(logged["fid"], rel=1e-6)
    with pytest.raises(BadInput, match=r"load a checkpoint first, by gan_convnorm\.load"):
        evaluate("run/last.ckpt", digits.train_set.tensors[0], **options)
    assert evaluate(gan, digits.train_set.tensors[0], ema=False, **options).values != found.values
    with pytest.raises(BadInput, match="there is no checkpoint"):
        gan_convnorm.load("none.ckpt")
    Path("text.ckpt").write_text("text")
    with pytest.raises(BadInput, match="damaged or no checkpoint"):
        gan_convnorm.load("text.ckpt")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--num-fake", "20", "--conditional", "--scores.intra_class", "true"], None),
        (
            ["--num-fake", "19", "--conditional", "--scores.intra_class", "true", "--metrics", "fid"],
            "class 9 has 1 fakes",
        ),
        (["--num-fake", "3", "--metrics", "fid,prc"], "need 4 or more images of either kind; there are 3 fakes"),
    ],
)
def test_what_a_score_would_refuse_is_refused_before_the_first_step(words, said, capsys, monkeypatch):
    monkeypatch.setattr(GAN, "training_step", lambda *_: pytest.fail("it trains"))
    with pytest.raises(SystemExit if said else pytest.fail.Exception) as stop:
        main([*SMALL, *words, "--steps", "2", "--eval-every", "1", "--out", "run"])
    if said:
        assert stop.value.code == 2 and said in capsys.readouterr().err
        assert not Path("run").exists()


@pytest.mark.slow
def test_weights_that_are_not_finite_are_not_scored():
    trainer, gan = fit([FidelityScores(num_fake=20)], steps=1)
    scores = next(c for c in trainer.callbacks if isinstance(c, FidelityScores))
    with torch.no_grad():
        next(gan.generator_ema.parameters())[0] = float("nan")
    with pytest.raises(BadInput, match=r"the averaged weights .* are NaN or infinite; .* not scored"):
        scores._score(trainer, gan, 20)
