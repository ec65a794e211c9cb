"""Runs are numbered over all projects and listed by project."""

from workbench.store import runs


def test_runs_are_numbered_and_listed(store) -> None:
    assert [runs.create(store, "lead", {"project": p, "method": "dpo"}) for p in (1, 2, 1)] == [1, 2, 3]
    assert [run["id"] for run in runs.all(store, 1)] == [1, 3]
    assert runs.all(store, 9) == []
