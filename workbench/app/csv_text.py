"""Cells of a CSV file that spreadsheets will open. Leaves out which tables there are."""

from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(cell: Any) -> Any:
    """A text that no spreadsheet takes for a formula; a number stays one."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
