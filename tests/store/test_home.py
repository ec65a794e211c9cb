"""The home folder: made private, refused with a reason."""

import os
from pathlib import Path

import pytest

from workbench.errors import HomeUnusable
from workbench.store import home as homes
from workbench.store.db import Store


@pytest.mark.rule("R27")
def test_a_home_that_cannot_be_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(HomeUnusable, match="choose another --home") as error:
            homes.prepare(path)
        assert error.value.exit_code == 7


@pytest.mark.rule("R27")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_home_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(HomeUnusable, match="belongs to user 12345"):
        homes.prepare(tmp_path)


def test_too_little_room_is_told_before_anything_is_tried(home: Path, vote, monkeypatch) -> None:
    with Store.open(home) as store:
        monkeypatch.setattr(homes, "LEAST_FREE", 2**62)
        with pytest.raises(Exception, match=r"only \d+ MB free on the disk of .* free some space") as error:
            store.append(vote())
        assert (error.value.code, store.seq) == ("storage", 1)
    with pytest.raises(HomeUnusable, match="free some space"):
        Store.open(home)


def test_an_open_home_is_made_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert homes.prepare(tmp_path).stat().st_mode & 0o777 == 0o700


@pytest.mark.rule("R27")
def test_a_network_file_system_is_named(tmp_path: Path) -> None:
    mounts = [("/", "ext4"), (str(tmp_path), "nfs4"), (str(tmp_path / "local"), "xfs")]
    assert homes.network(tmp_path / "home", mounts) == "nfs4"
    assert homes.network(tmp_path / "local" / "home", mounts) is None
    assert homes.network(Path("/elsewhere"), mounts) is None
