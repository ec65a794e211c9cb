"""The order of an epoch is made once; what each step takes of it is in `test_loop`."""

from workbench.training import schedule
from workbench.training.schedule import Plan
from workbench.training.units import Unit


def test_an_order_is_made_once_an_epoch(monkeypatch):
    made, order = [], schedule.order
    monkeypatch.setattr(schedule, "order", lambda *args, **kw: made.append(args[2]) or order(*args, **kw))
    plan = Plan([Unit(str(i), "g", ()) for i in range(20)], 8, 2, 0, seed=3, balanced=False)
    assert [len(plan.at(step)) for step in range(plan.steps)] == [8, 8, 4] * 2
    assert made == [0, 1]
