"""The notebook runs from top to bottom, in fewer steps, and its cells say what they claim."""

import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(working_folder):
    nbformat = pytest.importorskip("nbformat", reason="the extra examples is not installed")
    nbclient = pytest.importorskip("nbclient", reason="the extra examples is not installed")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # nothing old is shown
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert "STEPS = 60" in code.source
    code.source = code.source.replace("STEPS = 60", "STEPS = 4")
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    text = "".join(output.get("text", "") for output in outputs)
    assert all(re.search(rf"{norm}: FID \d+\.\d", text) for norm in ("convnorm", "spectral"))
    assert any("image/png" in output.get("data", {}) for output in outputs)
