"""A checkpoint is whole or it is not there; what is put back is exactly what was saved."""

import errno
import json
import resource
from contextlib import contextmanager

import pytest
import torch
from safetensors import SafetensorError

from workbench.errors import EngineError
from workbench.training import checkpoint
from workbench.training.worker import ended


@pytest.fixture
def net():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    model[0].bias.requires_grad = False
    return model


def stepped(model):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, fused=True)
    for _ in range(3):
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def test_restoring_gives_the_same_next_step(net, tmp_path):
    optimizer = stepped(net)
    path = checkpoint.save(tmp_path, 3, *checkpoint.tensors(net, optimizer), {"step": 3})
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    other.load_state_dict(net.state_dict())
    other[0].bias.requires_grad = False
    fresh = torch.optim.AdamW([p for p in other.parameters() if p.requires_grad], lr=0.1, fused=True)
    with torch.no_grad():
        other[1].weight.zero_()
    assert checkpoint.restore(path, other, fresh) == {"step": 3}
    for model, opt in ((net, optimizer), (other, fresh)):
        model(torch.ones(2, 3)).square().sum().backward()
        opt.step()
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_only_trained_weights_are_kept(net, tmp_path):
    path = checkpoint.save(tmp_path, 3, *checkpoint.tensors(net, stepped(net)), {})
    assert set(json.loads((path / "manifest.json").read_text())["files"]) == {
        "weights.safetensors",
        "optimizer.safetensors",
        "state.json",
    }
    assert "0.bias" not in checkpoint.trained(net)


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "no_manifest", "part"])
def test_damaged_checkpoints_are_passed_over(net, tmp_path, damage, capsys):
    optimizer = stepped(net)
    good = checkpoint.save(tmp_path, 10, *checkpoint.tensors(net, optimizer), {})
    bad = checkpoint.save(tmp_path, 20, *checkpoint.tensors(net, optimizer), {})
    weights = bad / "weights.safetensors"
    data = weights.read_bytes()
    if damage == "cut":
        weights.write_bytes(data[:-1])
    elif damage == "flip":
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "missing":
        weights.unlink()
    elif damage == "no_manifest":
        (bad / "manifest.json").unlink()
    else:
        bad.rename(tmp_path / "step-000020.part")
    assert checkpoint.newest(tmp_path) == good
    assert ("step-000020 does not match" in capsys.readouterr().out) == (damage != "part")


@contextmanager
def little_room():
    """Files of this process end at 100 bytes, so that the write itself fails, inside safetensors too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:  # before anything else of this process, its test report too, is written
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_is_told_apart_and_leaves_nothing(net, tmp_path):
    optimizer = stepped(net)
    good = checkpoint.save(tmp_path, 3, *checkpoint.tensors(net, optimizer), {})
    with pytest.raises(OSError, match="too large") as caught, little_room():
        checkpoint.save(tmp_path, 4, *checkpoint.tensors(net, optimizer), {})
    assert ended(caught.value)[0] == "disk_full"
    assert list(tmp_path.iterdir()) == [good]


def test_a_full_disk_keeps_its_number():
    said = f"Error while serializing: I/O error: No space left on device (os error {errno.ENOSPC})"
    with pytest.raises(OSError, match="No space left") as caught, checkpoint.disk_errors():
        raise SafetensorError(said)
    assert caught.value.errno == errno.ENOSPC


def test_other_faults_of_safetensors_stay_what_they_are():
    with pytest.raises(SafetensorError, match="header"), checkpoint.disk_errors():
        raise SafetensorError("header too large")


def test_nothing_to_resume_from(tmp_path):
    assert checkpoint.newest(tmp_path / "none") is None


def test_weights_that_are_not_finite_are_not_saved(net, tmp_path):
    optimizer = stepped(net)
    with torch.no_grad():
        net[1].weight[0, 0] = float("inf")
    with pytest.raises(EngineError, match="not finite"):
        checkpoint.save(tmp_path, 4, *checkpoint.tensors(net, optimizer), {})
    assert list(tmp_path.iterdir()) == []


def test_another_model_is_refused(net, tmp_path):
    optimizer = stepped(net)
    path = checkpoint.save(tmp_path, 3, *checkpoint.tensors(net, optimizer), {})
    net[0].bias.requires_grad = True
    with pytest.raises(EngineError, match="another model or tuning"):
        checkpoint.restore(path, net, optimizer)


def test_a_checkpoint_of_another_form_is_refused(net, tmp_path, monkeypatch):
    optimizer = torch.optim.AdamW(net.parameters())
    path = checkpoint.save(tmp_path, 1, *checkpoint.tensors(net, optimizer), {})
    monkeypatch.setattr(checkpoint, "FORM", checkpoint.FORM + 1)
    with pytest.raises(EngineError, match="written by another version of this program: start a new run"):
        checkpoint.restore(path, net, optimizer)


def test_the_last_two_and_the_best_are_kept(net, tmp_path):
    optimizer = stepped(net)
    for step in (10, 20, 30, 40):
        checkpoint.save(tmp_path, step, *checkpoint.tensors(net, optimizer), {})
    checkpoint.prune(tmp_path, best=10)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000010", "step-000030", "step-000040"]
