"""Names beside the rows of a grid."""

import numpy as np
from PIL import Image

from gan_convnorm.report.class_rows import name_rows


def test_each_row_has_its_name_and_no_pixel_of_the_grid_changes():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 90, 3), dtype=np.uint8))
    named = np.asarray(name_rows(picture, ["0", "1", "10"]))
    margin = named.shape[1] - 90
    assert named.shape[0] == 200 and (named[:, margin:] == np.asarray(picture)).all()
    dark = (named[:, :margin] < 128).all(axis=2)
    centres = []
    for part in np.array_split(np.arange(200), 3):
        rows, columns = np.nonzero(dark[part])
        assert columns.min() > 2 and columns.max() < margin - 2  # nothing is clipped
        centres.append(part[rows].mean())
    assert np.allclose(centres, [200 / 6, 100, 1000 / 6], atol=5)
