"""What training, scoring and neighbours make of each kind of image file: the table of docs/data.md."""

import re
from pathlib import Path

import numpy as np
import pytest
from image_kinds import CASES, KINDS
from picture_readers import nearest, scored, trained

from gan_convnorm.errors import BadInput

DOCS = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")

LOSSY = ("jpg", "jfif", "jpe", "avif")


@pytest.mark.filterwarnings("ignore:1 images of")
@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}-{name}" for kind, name in CASES])
def test_kinds(photos, kind, name):
    files, outcome, pixels = KINDS[kind]
    (photos / name).write_bytes(files[name])
    for read in (trained, scored, nearest):
        if pixels is None:
            reason = outcome.removeprefix("refused: ")
            with pytest.raises(BadInput, match=rf"1 of 1 files .*{re.escape(name)} \({reason}") as error:
                read(photos)
            assert "\n" not in str(error.value)
            continue
        found = read(photos)[0].permute(1, 2, 0).numpy().astype(int)
        assert found.shape == (8, 8, 3)
        limit = 6 if name.split(".")[1] in LOSSY else 0
        assert np.abs(found - pixels).max() <= limit


def test_the_docs_have_this_table():
    section = DOCS.split("### Kinds of files")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", section, re.MULTILINE)
    table = {kind: outcome for kind, outcome in rows if not kind.startswith(("kind", "-"))}
    assert list(table) == [*KINDS, "HEIC, HDR, EXR, SVG, PDF, EPS and all other endings"]
    for kind, (_, outcome, _) in KINDS.items():
        assert table[kind].startswith(outcome.replace("(damaged|looks like)", "damaged")), kind
