"""A docstring becomes a page."""

from __future__ import annotations

from lrdoctor.engine.page import parse_page

DOCSTRING = """The first sentence,
over two lines.

Not part of the title.

## What it does
Looks.

- a list

## Why is this bad?
Because.

## How to fix it
Do this.

## References
- A book
"""


def test_the_first_paragraph_is_the_title_on_one_line():
    assert parse_page(DOCSTRING).title == "The first sentence, over two lines."


def test_each_heading_is_a_section():
    page = parse_page(DOCSTRING)
    assert (page.what, page.why, page.fix) == ("Looks.\n\n- a list", "Because.", "Do this.")
    assert page.section("References") == "- A book"
    assert page.section("Options") == ""


def test_markdown_keeps_the_order_and_takes_a_heading_level():
    lines = parse_page(DOCSTRING).markdown_at(4).splitlines()
    headings = [line for line in lines if line.startswith("#")]
    assert headings == ["#### What it does", "#### Why is this bad?", "#### How to fix it", "#### References"]
    assert parse_page(DOCSTRING).markdown.count("\n## ") == 4


def test_a_page_read_again_from_its_markdown_is_the_same():
    page = parse_page(DOCSTRING)
    assert parse_page(page.markdown) == page


def test_no_docstring_is_an_empty_page():
    assert parse_page(None).title == ""
    assert parse_page(None).sections == ()
