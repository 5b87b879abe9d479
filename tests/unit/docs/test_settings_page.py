"""docs/settings.md has every setting with its default and what it is, as the code has it."""

from __future__ import annotations

from tests.unit.docs.settings_page import PAGE, table, with_table


def test_the_page_has_the_table_of_the_code() -> None:
    page = PAGE.read_text()
    assert table() in page, "python -m tests.unit.docs.settings_page writes it anew"


def test_writing_the_table_anew_keeps_the_rest_of_the_page() -> None:
    page = PAGE.read_text()
    assert with_table(page.replace(table(), table().replace("the", "a"))) == page
