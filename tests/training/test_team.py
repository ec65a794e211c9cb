"""What a process alone makes of a team; several of them are tried in `parity/test_distributed`."""

import torch

from workbench.training.team import Team, spread, whole


def shared(rows, rank, size):
    team = Team()
    team.rank, team.size = rank, size
    return team.share(rows)


def test_everybody_runs_equally_many_rows_and_each_row_once():
    assert [shared([1, 2, 3], rank, 2) for rank in (0, 1)] == [[1, 3], [2, None]]
    assert [shared([1], rank, 3) for rank in range(3)] == [[1], [None], [None]]


def test_one_process_is_a_team():
    team, value = Team(), torch.tensor([1.0])
    assert team.first
    assert team.total(value) is value
    assert team.everybody("a") == ["a"]
    assert team.agree({"b": 1}) == {"b": 1}
    parameter = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    parameter.grad = torch.tensor([3.0, 4.0])
    assert team.clip([parameter], 1.0).item() == 5.0
    torch.testing.assert_close(parameter.grad, torch.tensor([0.6, 0.8]), atol=1e-5, rtol=0)
    assert whole(value) is value
    assert torch.equal(spread(value, parameter), value)
