"""Import folders are numbered and taken for good."""

from workbench.store import imports


def test_import_folders_are_taken_for_good(store, home) -> None:
    taken = [imports.next_folder(store) for _ in range(2)]
    assert taken == [(1, home / "imports" / "000001"), (2, home / "imports" / "000002")]
    for number in (3, 4):
        imports.discard(store, taken[-1][1])
        taken.append(imports.next_folder(store))
        assert taken[-1] == (number, home / "imports" / f"{number:06d}")
    assert imports.all(store) == []
