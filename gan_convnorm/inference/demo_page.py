"""The page of `demo`: a `Playground` in a browser, by Gradio."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.images.grid import picture_grid
from gan_convnorm.inference.playground import Playground

if TYPE_CHECKING:
    import gradio

__all__ = ["build_page", "serve"]

COLUMNS = 8  # of the samples, which fill as many rows
WALK = 9  # images on the way between two seeds
ALL = "all"  # classes in turn


def build_page(playground: Playground, title: str) -> gradio.Blocks:
    """Return the page, with the first pictures drawn.

    Args:
        playground: the generator.
        title: heading of the page.

    Raises:
        BadInput: Gradio is not installed.
    """
    gr = _gradio()
    classes = [ALL, *map(str, range(playground.num_classes or 0))]

    def samples(seed: float, label: str, truncation: float) -> np.ndarray:
        return _picture(playground.images(_seed(seed), COLUMNS**2, _class(label), truncation or None), COLUMNS)

    def walk(start: float, end: float, label: str, truncation: float) -> np.ndarray:
        return _picture(playground.walk(_seed(start), _seed(end), WALK, _class(label), truncation or None), WALK)

    def nearest(seed: float, label: str, truncation: float) -> tuple[np.ndarray, np.ndarray, str]:
        image = playground.images(_seed(seed), 1, _class(label), truncation or None)
        found, distances = playground.nearest(image[0])
        return _picture(image, 1), _picture(found, len(found)), ", ".join(f"{d:.3f}" for d in distances.tolist())

    def picture(label: str, value: np.ndarray) -> gradio.Image:
        return gr.Image(value, label=label, format="png", interactive=False)

    def seed_field(label: str, value: int = 0) -> gradio.Number:
        return gr.Number(value, precision=0, minimum=0, label=label)

    def redraw(draw: Callable[..., object], inputs: list[Any], outputs: list[Any]) -> None:
        """Draw the outputs again in the browser when an input changes."""
        changes = [each.change for each in inputs]
        gr.on(changes, draw, inputs, outputs, show_progress="hidden", api_name=draw.__name__)

    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Markdown(f"# {title}")
        with gr.Row():
            label = gr.Dropdown(classes, value=ALL, label="Class", visible=len(classes) > 1)
            truncation = gr.Slider(0, 3, value=0, step=0.1, label="Truncation (0: none; smaller values: more typical)")
        with gr.Tab("Samples"):
            seed = seed_field("Seed")
            redraw(samples, [seed, label, truncation], [picture(f"{COLUMNS**2} samples", samples(0, ALL, 0))])
        with gr.Tab("Between two samples"):
            with gr.Row():
                ends = [seed_field("First seed"), seed_field("Second seed", 1)]
            way = picture("The way from the first seed's sample to the second seed's", walk(0, 1, ALL, 0))
            redraw(walk, [*ends, label, truncation], [way])
        if playground.train is not None:
            with gr.Tab("Nearest training images"):
                image, found, distances = nearest(0, ALL, 0)
                seed = seed_field("Seed")
                with gr.Row():
                    pictures = [picture("Sample", image), picture("Training images, nearest first", found)]
                words = gr.Textbox(
                    distances, label="Root mean square difference of pixels (0: equal, 1: black and white)"
                )
                redraw(nearest, [seed, label, truncation], [*pictures, words])
    return page


def serve(playground: Playground, title: str, port: int, *, open_browser: bool = False) -> None:
    """Serve the page on this machine until Ctrl-C. It needs no network: fonts are the system's, analytics are off.

    Args:
        playground: the generator.
        title: heading of the page.
        port: of http://127.0.0.1.
        open_browser: open the page in the browser.

    Raises:
        BadInput: Gradio is not installed, or the port cannot be used.
    """
    _check_port(port)
    gr = _gradio()
    page = build_page(playground, title)
    theme = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    print(f"http://127.0.0.1:{port} shows {title}; Ctrl-C ends it", flush=True)
    try:
        page.launch(
            server_name="127.0.0.1", server_port=port, inbrowser=open_browser, share=False, quiet=True, theme=theme
        )
    except OSError as error:
        raise BadInput(f"port {port} is taken or cannot be used; give another with --port") from error


def _check_port(port: int) -> None:
    """Raise BadInput unless the port can be used: before the page is made, and its address printed."""
    if not 1 <= port <= 65535:
        raise BadInput(f"--port is {port}; expected 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadInput(f"port {port} is taken or cannot be used; give another with --port") from error


def _seed(value: float | None) -> int:
    return max(0, int(value or 0))  # an emptied field is None


def _gradio() -> Any:  # noqa: ANN401
    try:
        import gradio  # it takes seconds, and only this page needs it
    except ModuleNotFoundError as error:
        raise BadInput("the demo needs Gradio: python -m pip install gradio") from error
    return gradio


def _class(label: str) -> int | None:
    return None if label == ALL else int(label)


def _picture(images: Tensor, columns: int) -> np.ndarray:
    return picture_grid(images, columns).permute(1, 2, 0).numpy()
