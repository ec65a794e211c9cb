"""The rules of a project: what is given changes, the rest stays, nonsense is named."""

from typing import Any

import pytest

from tests.app.acts.conftest import do
from workbench.app.house import House
from workbench.errors import NotFound, UsageError


def test_what_is_given_changes_and_the_rest_stays(house: House) -> None:
    made = do(house, "project_create", name="tour", tasks=["rank"])["id"]
    do(house, "project_change", project=made, quota=50, deadline="2027-01-31", overlap=0.5, names="hold", paused=True)
    kept = do(house, "project_change", project=made, quota=None, best_worst=True, write=True)
    assert kept["write"]
    assert (kept["quota"], kept["deadline"], kept["overlap"], kept["names"]) == (None, "2027-01-31", 0.5, "hold")
    assert (kept["paused"], kept["best_worst"], kept["tasks"], kept["version"]) == (True, True, ["rank"], 0)


def test_guidelines_are_rendered_clean_and_counted(house: House) -> None:
    made = do(house, "project_create", name="tour")["id"]
    text = "# Prefer\n\n- short <script>alert(1)</script>"
    first = do(house, "project_change", project=made, guideline=text, axes={"harmless": "Plain words."})
    assert first["version"] == 1
    assert set(first["guideline_html"]) == {"overall"}
    assert "<li>" in first["guideline_html"]["overall"]
    assert "<script>" not in first["guideline_html"]["overall"]
    again = do(house, "project_change", project=made, guideline=text, paused=True)
    assert (again["version"], again["guideline_html"]) == (1, first["guideline_html"])
    other = do(house, "project_change", project=made, axes={"harmless": "**Bold** words."})
    assert (other["version"], sorted(other["guideline_html"])) == (2, ["harmless", "overall"])


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"hue": 1}, "hue"),
        ({"version": 9}, "version"),
        ({"gold": 0.5}, r"gold 0\.5: from 0 to 0\.2"),
        ({"quota": 0}, "quota 0"),
        ({"names": "shout"}, "names"),
        ({"deadline": "soon"}, "YYYY-MM-DD"),
        ({"tasks": []}, "tasks"),
        ({"axes": {"overall": ""}}, "axis 'overall'"),
        ({"axes": {"A b": ""}}, "axis 'A b'"),
        ({"members": ["nobody"]}, "no user 'nobody'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_named_and_changes_nothing(house: House, rules: dict[str, Any], said: str) -> None:
    made = do(house, "project_create", name="tour")
    with pytest.raises((UsageError, NotFound), match=said):
        do(house, "project_change", project=made["id"], **rules)
    assert do(house, "projects")["projects"] == [made]
