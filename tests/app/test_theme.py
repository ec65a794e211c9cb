"""Colours people can read: WCAG AA in light and dark."""

import re

import pytest

from workbench.app import words
from workbench.app.theme import DARK, LIGHT

CSS = (words.HERE / "assets" / "style.css").read_text()
SIGN = (words.HERE / "assets" / "public" / "sign.css").read_text()
TEXT_ON = [
    ("body_text_color", "body_background_fill"),
    ("body_text_color", "block_background_fill"),
    ("body_text_color_subdued", "body_background_fill"),
    ("body_text_color_subdued", "block_background_fill"),
    ("block_info_text_color", "block_background_fill"),
    ("input_placeholder_color", "input_background_fill"),
    ("link_text_color", "body_background_fill"),
    ("link_text_color", "block_background_fill"),
    ("button_primary_text_color", "button_primary_background_fill"),
    ("button_primary_text_color", "button_primary_background_fill_hover"),
    ("button_secondary_text_color", "button_secondary_background_fill_hover"),
    ("body_text_color", "checkbox_label_background_fill_selected"),
    ("body_text_color", "table_odd_background_fill"),
    ("error_text_color", "error_background_fill"),
]


def contrast(one: str, other: str) -> float:
    """(L1 + 0.05) / (L2 + 0.05), relative luminance of sRGB."""

    def luminance(colour: str) -> float:
        full = "".join(2 * c for c in colour[1:]) if len(colour) == 4 else colour[1:]
        channels = (int(full[i : i + 2], 16) / 255 for i in (0, 2, 4))
        linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_matches_the_definition() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(("ink", "paper"), TEXT_ON)
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable(colours: dict[str, str], ink: str, paper: str) -> None:
    assert contrast(colours[ink], colours[paper]) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_fields_can_be_seen(colours: dict[str, str]) -> None:
    assert contrast(colours["input_border_color"], colours["block_background_fill"]) >= 3


@pytest.mark.parametrize(("sheet", "prefix"), [(CSS, "--pw-"), (SIGN, "--")])
def test_our_own_parts_are_readable(sheet: str, prefix: str) -> None:
    found = re.findall(rf"{prefix}([\w-]+): light-dark\((#\w+), (#\w+)\)", sheet)
    for colours in ({name: light for name, light, _ in found}, {name: dark for name, _, dark in found}):
        for ink in ("ink", "quiet", "link", "bad"):
            for paper in ("back", "card"):
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
        assert contrast("#ffffff", colours["main"]) >= 4.5
        assert contrast(colours["field"], colours["card"]) >= 3


def test_both_halves_of_the_theme_name_the_same_colours() -> None:
    assert set(LIGHT) == set(DARK)
