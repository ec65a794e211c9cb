"""Side order is a fair draw that can be drawn again; tokens open only for their owner."""

import math

import pytest

from workbench.errors import UsageError
from workbench.labelling.views import View, Views

DRAWS = 10_000
Z = 3.2905  # 99.9 %, both sides


@pytest.fixture
def views() -> Views:
    return Views("a home")


def view(order: tuple[int, ...] = (1, 0), annotator: str = "ann", purpose: str = "label") -> View:
    return View(1, "overall", "pair", 42, annotator, purpose, "control", order)


@pytest.mark.parametrize("annotators", [1, 2, 50])
def test_the_first_candidate_stands_left_half_of_the_time(views: Views, annotators: int) -> None:
    lefts = [views.order(1, "overall", i, f"ann{i % annotators}", 2) == (0, 1) for i in range(DRAWS)]
    assert abs(sum(lefts) / DRAWS - 0.5) < Z * math.sqrt(0.25 / DRAWS)


def test_an_order_is_the_same_after_a_restart_and_differs_between_people_and_homes(views: Views) -> None:
    def drawn(views: Views, who: str) -> list[tuple[int, ...]]:
        return [views.order(1, "overall", item, who, 2) for item in range(64)]

    assert drawn(views, "ann") == drawn(Views("a home"), "ann")
    assert drawn(views, "ann") != drawn(views, "bob")
    assert drawn(views, "ann") != drawn(Views("another home"), "ann")


def test_every_candidate_has_one_place(views: Views) -> None:
    assert sorted(views.order(1, "overall", 7, "ann", 9)) == list(range(9))


def test_a_lease_opens_to_what_was_sealed(views: Views) -> None:
    assert views.open("ann", views.lease(view())) == view()
    assert Views("a home").open("ann", views.lease(view())) == view()


def test_a_lease_shows_nothing_of_what_is_inside(views: Views) -> None:
    one, two = views.lease(view()), views.lease(view((0, 1)))
    assert len({len(one), len(two), len(views.lease(view(purpose="gold")))}) == 1
    assert sum(a == b for a, b in zip(one, two, strict=True)) < len(one) / 4


@pytest.mark.parametrize("lease", ["", "é", "x", "A" * 60])
def test_a_token_of_somebody_else_opens_nothing(views: Views, lease: str) -> None:
    for annotator, token in (("bob", views.lease(view())), ("ann", lease), ("ann", Views("b").lease(view()))):
        with pytest.raises(UsageError, match="lease"):
            views.open(annotator, token)


def test_a_view_token_belongs_to_one_lease_and_order(views: Views) -> None:
    lease = views.lease(view())
    views.check(lease, views.token(lease, (1, 0)), (1, 0))
    for token in (views.token(lease, (0, 1)), views.token("other", (1, 0)), "", "é"):
        with pytest.raises(UsageError, match="view"):
            views.check(lease, token, (1, 0))
