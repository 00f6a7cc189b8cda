"""The tables of flags, which answer without torch, beside the parsers that Lightning and jsonargparse build."""

import contextlib
import io
import re
import subprocess
import sys

import pytest
import yaml
from program_runs import refused

from gan_convnorm.cli import main
from gan_convnorm.cli.classify_flags import CLASSIFY_FLAGS
from gan_convnorm.cli.gan_flags import GAN_FLAGS
from gan_convnorm.data import DATA
from gan_convnorm.fidelity import EXTRACTORS
from gan_convnorm.fidelity.protocols import PROTOCOLS
from gan_convnorm.inference import Prediction
from gan_convnorm.layers import NORMS
from gan_convnorm.networks import NETWORKS
from gan_convnorm.objectives.augmentation import AUGMENTATIONS
from gan_convnorm.objectives.losses import LOSSES
from gan_convnorm.objectives.penalties import PENALTIES
from gan_convnorm.report.flag_names import LAST_WORD, OTHER_WORDS, flag_name
from gan_convnorm.robustness.attacks import ATTACKS
from gan_convnorm.score_table import SCORES

pytestmark = [pytest.mark.usefixtures("folder"), pytest.mark.quick]

VERBS = [(table, verb) for table in (GAN_FLAGS, CLASSIFY_FLAGS) for verb in table.verbs]
#: read by the parser, but no setting
ACTIONS = {"config", "print_config"}


def words_of(table, verb):
    return [*([table.word] if table.word else []), verb]


def printed(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    captured = capsys.readouterr()
    assert stop.value.code == 0 and captured.err == ""
    return captured.out


def value_at(config, key):
    for name in key.split("."):
        config = config[name]
    return config


@pytest.fixture(scope="module")
def full_help():
    """The help with every setting, by verb."""
    found = {}
    for table, verb in VERBS:
        with contextlib.redirect_stdout(io.StringIO()) as text, pytest.raises(SystemExit):
            main([*words_of(table, verb), "--help-all"])
        found[table.word, verb] = text.getvalue()
    return found


@pytest.mark.parametrize(("table", "verb"), VERBS)
def test_the_table_knows_exactly_the_parsers_flags(table, verb, full_help):
    settings = full_help[table.word, verb].partition("\noptions:\n")[2]
    known = set(re.findall(r"^  (?:-\w[^\n]*, )?--([\w.]+)", settings, re.MULTILINE)) - {"help"}
    tops = {key for key in known if "." not in key}
    assert tops == {key for key in table.keys(verb).values() if "." not in key}
    for flag in table.of_verb(verb):
        # Of the data's class, which the parser does not describe.
        assert flag.key in known or flag.key.startswith("data.init_args."), flag.name


@pytest.mark.parametrize(("table", "verb"), VERBS)
def test_the_help_of_all_settings_begins_with_the_flags_and_their_keys(table, verb, full_help):
    first = full_help[table.word, verb].partition("\noptions:\n")[0]
    entries = dict(re.findall(r"^  (--[\w-]+)(?= |$)(.*(?:\n {8}.*)*)", first, re.MULTILINE))
    assert list(entries) == [flag.name for flag in table.of_verb(verb)]
    assert all(" ".join(entries[f.name].split()).endswith(f"[{f.key}]") for f in table.of_verb(verb))


@pytest.mark.parametrize("table", [GAN_FLAGS, CLASSIFY_FLAGS])
def test_defaults_in_the_help_are_the_programs(table, capsys):
    config = yaml.safe_load(printed(capsys, *words_of(table, "fit"), "--print-config"))
    for flag in table.of_verb("fit"):
        if flag.key in ACTIONS or flag.key.startswith("data.init_args."):
            continue
        found = value_at(config, flag.key)
        if flag.key == "data":
            found = {f"{data.__module__}.{data.__qualname__}": name for name, data in DATA.items()}[found["class_path"]]
        if not flag.value:
            assert found is False, flag.name
        else:
            assert found == flag.default or (flag.default is None and found in (None, "")), flag.name


def test_pages_name_the_flags_of_the_table():
    for flag in GAN_FLAGS.of_verb("fit"):
        words = flag_name(flag.key)
        # An argument whose page says its whole key, which the parser takes too, is named rightly.
        assert words in (flag.name, f"--{flag.key}"), flag.key
    listed = {*OTHER_WORDS, *(f"{group}.{word}".strip(".") for group, words in LAST_WORD.items() for word in words)}
    keys = {flag.key: flag.name for flag in GAN_FLAGS.of_verb("fit")} | {"data.class_path": "--data"}
    assert {key: flag_name(key) for key in listed} == {key: keys.get(key) for key in listed}


def test_defaults_of_predict_are_the_programs():
    defaults = {flag.key: flag.default for flag in GAN_FLAGS.groups["images"]}
    assert defaults == vars(Prediction())


@pytest.mark.parametrize(
    ("flag", "choices"),
    [
        ("--data", DATA),
        ("--disc-norm", NORMS),
        ("--network", NETWORKS),
        ("--loss", LOSSES),
        ("--penalty", PENALTIES),
        ("--augmentation", AUGMENTATIONS),
        ("--extractor", EXTRACTORS),
        ("--protocol", PROTOCOLS),
        ("--metrics", {score.metric for score in SCORES.values()}),
        ("classify --data", DATA),
        ("classify --attacks", ATTACKS),
    ],
)
def test_choices_in_the_help_are_the_programs(flag, choices):
    *word, name = flag.split()
    table = CLASSIFY_FLAGS if word else GAN_FLAGS
    (about,) = [each.about for each in table.of_verb("fit") if each.name == name]
    assert set(choices) <= set(re.findall(r"[\w-]+", about))


@pytest.mark.parametrize(("table", "verb"), VERBS)
def test_help_fits_two_screens(table, verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(capsys, *words_of(table, verb), "--help")
    lines = text.splitlines()
    assert len(lines) <= 96 and max(map(len, lines)) <= 80
    shown = table.shown.get(verb, [flag.name for flag in table.of_verb(verb)])
    assert set(re.findall(r"^  (--[\w-]+)", text, re.MULTILINE)) == set(shown)
    assert "--help-all lists every setting" in lines[-1]
    assert printed(capsys, *words_of(table, verb), "--steps", "5", "-h") == text


def test_help_of_the_program_lists_the_verbs(capsys):
    text = printed(capsys, "--help")
    assert text == printed(capsys, "-h") and max(map(len, text.splitlines())) <= 80
    verbs = [*GAN_FLAGS.verbs, "score", "compare", "study", "export", "demo", "classify"]
    assert re.findall(r"^  (\w+)  ", text, re.MULTILINE) == verbs
    listed = printed(capsys, "classify", "--help")
    assert all(f"classify {verb} --help-all" in listed for verb in CLASSIFY_FLAGS.verbs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fti", "there is no verb 'fti'; choose from fit, validate, "),
        ("fti", "; did you mean fit?"),
        ("vlaidate --ckpt-path x", "; did you mean validate?"),
        ("frobnicate", "export, demo, classify\n"),
        ("classify ftt", "there is no verb 'ftt'; choose from fit, validate, test; did you mean fit?"),
        ("--stpes 5", "unrecognized arguments: --stpes 5; did you mean --steps?"),
        ("fit --stpes=5", "unrecognized arguments: --stpes=5; did you mean --steps?"),
        ("fit --comiple --steps 5", "unrecognized arguments: --comiple; did you mean --compile?"),
        ("predict --intrepolate 5", "did you mean --interpolate?"),
        ("predict --resume last", "unrecognized arguments: --resume last"),
        ("fit --num 5", "unrecognized arguments: --num 5"),
        ("classify --nrom batch", "did you mean --norm?"),
    ],
)
def test_typos_are_one_line(words, message, capsys):
    assert message in refused(capsys, *words.split())


def test_only_the_first_of_several_processes_says_it(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as stop:
        main(["--stpes", "5"])
    assert stop.value.code == 2 and capsys.readouterr().err == ""


ANSWERED_AT_ONCE = [
    "--help",
    "fit --help",
    "predict --help",
    "validate -h",
    "classify --help",
    "classify test --help",
    "fti",
    "--stpes 5",
    "predict --intrepolate 5",
    "score --help",
    "compare --help",
    "study --help",
    "export --help",
    "demo --help",
    "score --nmu-fake 5",
    "study --smkoe",
    "export --onxn",
    "demo --prot 80",
    "--print_config",
    "--disc-norm convnorm --data cifar10 --print-config",
]
LOOK = """
import contextlib, io, sys
from gan_convnorm.cli import main
for line in sys.argv[1:]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        with contextlib.redirect_stderr(io.StringIO()):
            main(line.split())
    print(line, sorted({"torch", "pytorch_lightning", "matplotlib", "scipy", "optuna"} & sys.modules.keys()))
"""


def test_help_typos_and_plain_configurations_load_no_heavy_library():
    command = [sys.executable, "-c", LOOK, *ANSWERED_AT_ONCE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{line} []" for line in ANSWERED_AT_ONCE]


#: the ways to write each flag, what is given, and the setting
SPELLINGS = {
    "fit": [
        ("disc-norm disc_norm", "layer", "model.architecture.disc_norm", "layer"),
        ("model.architecture.disc-norm model.architecture.disc_norm", "oni", "model.architecture.disc_norm", "oni"),
        ("model.optimization.gen-lr model.optimization.gen_lr", "0.5", "model.optimization.gen_lr", 0.5),
        ("batch-size batch_size data.batch-size data.batch_size", "7", "data.init_args.batch_size", 7),
        ("data.init-args.batch-size data.init_args.batch_size", "6", "data.init_args.batch_size", 6),
        ("seed seed-everything seed_everything", "3", "seed_everything", 3),
        ("operator-norms-every operator_norms_every", "9", "operator_norms_every", 9),
        ("trainer.log-every-n-steps trainer.log_every_n_steps", "4", "trainer.log_every_n_steps", 4),
        ("num-fake num_fake scores.num-fake scores.num_fake", "50", "scores.num_fake", 50),
        ("detect-anomaly detect_anomaly", "", "trainer.detect_anomaly", True),
    ],
    "classify": [
        ("label-noise label_noise split.label-noise split.label_noise", "0.25", "split.label_noise", 0.25),
        ("evaluation.attack-eps evaluation.attack_eps", "4", "evaluation.attack_eps", 4),
    ],
}


def lines_of_spellings():
    """Yield the verb, words and settings of as few command lines as have every spelling once."""
    for verb, flags in SPELLINGS.items():
        left = [(name, given, key, value) for names, given, key, value in flags for name in names.split()]
        while left:
            words, settings = [], {}
            for spelling in list(left):
                name, given, key, value = spelling
                if key not in settings:
                    words += [f"--{name}", *given.split()]
                    settings[key] = value
                    left.remove(spelling)
            yield verb, words, settings


@pytest.mark.parametrize(("verb", "words", "settings"), lines_of_spellings())
def test_hyphens_and_underscores_are_the_same(verb, words, settings, capsys):
    config = yaml.safe_load(printed(capsys, verb, *words, "--print-config"))
    assert {key: value_at(config, key) for key in settings} == settings
    assert yaml.safe_load(printed(capsys, verb, *words, "--print_config")) == config


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("score fakes real --num{}fake -3", "--num-fake is -3"),
        ("score fakes real --json nowhere/a.json --isc{}splits 3", "no folder "),
        ("study nowhere.yaml --sto{}rage x", "unrecognized arguments: --sto-rage"),
        ("export nowhere.ckpt folder --no{}program", "nowhere.ckpt"),
        ("demo nowhere --train{}images nowhere-too", "nowhere"),
    ],
)
def test_hyphens_and_underscores_are_the_same_in_the_other_verbs(words, message, capsys):
    assert refused(capsys, *words.format("-").split()) == refused(capsys, *words.format("_").split())
    assert message in refused(capsys, *words.format("_").split())
