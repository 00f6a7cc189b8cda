"""The one template: every value is text, whatever it holds."""

from gan_convnorm.report.blocks import Cell, Code, Heading, Paragraph, Picture, Sample, Samples, Table
from gan_convnorm.report.page import render_page

HOSTILE = "<script>\"'&{{ 1 }}"


def test_every_value_is_escaped():
    text = HOSTILE
    blocks = [
        Heading(text),
        Paragraph(text, name=text),
        Table([text, Cell(text, text)], [[text, Cell(text, text)]], name=text),
        Picture(b"", text, text),
        Samples([Sample(b"", text, text, colour=text)]),
        Code(text, name=text),
    ]
    page = render_page(text, blocks, text)
    assert "<script" not in page and "{{" in page
    assert page.count("&lt;script&gt;&#34;&#39;&amp;{{ 1 }}") == 20
