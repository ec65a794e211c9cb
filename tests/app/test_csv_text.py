"""Cells that no spreadsheet takes for a formula."""

from workbench.app.csv_text import harmless


def test_only_what_a_spreadsheet_would_run_is_marked_as_text() -> None:
    assert [harmless(f"{begin}a") for begin in "=+-@\t\r"] == [f"'{begin}a" for begin in "=+-@\t\r"]
    assert [harmless(cell) for cell in ("a=b", -1.5, None)] == ["a=b", -1.5, None]
