"""One line under any sequence of acts: never too many holders, never too many labels, counters that agree."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from time import tzset
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from workbench.errors import Conflict
from workbench.labelling.line import LEASE_SECONDS, Line, Pick
from workbench.labelling.person import day_of
from workbench.labelling.places import Places
from workbench.schema import Judgement

PEOPLE = ("ann", "bob", "cid")
people, tabs = strategies.sampled_from(PEOPLE), strategies.sampled_from("xy")
SIZE = 6
BASE = b"\2" + b"\1" * (SIZE - 1)  # two people label the first item


class Labelling(RuleBasedStateMachine):
    """People claim, answer, skip, flag, undo and let leases expire; the model is what each of them last said."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.line = self.fresh()
        self.said: dict[tuple[str, int], tuple[str, UUID]] = {}
        self.history: list[Judgement] = []

    def fresh(self) -> Line:
        return Line("overall", Places(np.arange(SIZE) + 10), BASE, lambda: self.now)

    def act(self, who: str, place: int, kind: str, uid: UUID, payload: dict) -> None:
        judgement = Judgement(uid, self.line.ids[place], who, kind, payload)
        self.history.append(judgement)
        self.line.apply(judgement)

    def needed(self) -> int:
        """An item that somebody flagged asks for no more than it has."""
        flagged = {place for (_, place), (kind, _) in self.said.items() if kind == "flag"}
        return sum(self.line.done[p] if p in flagged else BASE[p] for p in range(SIZE))

    def holders(self, place: int) -> list[str]:
        return [who for who, lease in self.line.everybodys() if lease.pick.place == place]

    @rule(who=people, tab=tabs, want=strategies.integers(1, 4))
    def claim(self, who: str, tab: str, want: int) -> None:
        self.line.expire()
        for _ in range(want):
            if pick := self.line.take(who, tab, "control"):
                assert (who, pick.place) not in self.said
                assert self.line.leases[who][pick.place, ""].tab == tab

    @rule(who=people, tab=tabs, place=strategies.integers(0, SIZE - 1))
    def beat(self, who: str, tab: str, place: int) -> None:
        self.line.expire()
        if self.line.hold(who, tab, Pick(place)):
            assert (who, place) not in self.said
            assert self.line.leases[who][place, ""].tab == tab

    @rule(who=people, place=strategies.integers(0, SIZE - 1), kind=strategies.sampled_from(["pair", "skip", "flag"]))
    def answer(self, who: str, place: int, kind: str) -> None:
        self.line.expire()
        allowed = who in self.holders(place) or self.line.open_to(who, place)
        if not allowed:
            with pytest.raises(Conflict) as error:
                self.line.admit(who, Pick(place))
            assert error.value.code == ("already_labelled" if (who, place) in self.said else "taken")
            return
        self.line.admit(who, Pick(place))
        uid = uuid4()
        self.act(who, place, kind, uid, {"choice": "tie"})
        self.said[who, place] = kind, uid

    @precondition(lambda self: self.said)
    @rule(data=strategies.data())
    def undo(self, data: strategies.DataObject) -> None:
        who, place = data.draw(strategies.sampled_from(sorted(self.said)))
        _, uid = self.said.pop((who, place))
        self.line.undoable(who, uid, Pick(place))
        self.act(who, place, "undo", uuid4(), {"of": str(uid)})
        self.line.hold(who, "x", Pick(place))

    @rule(who=people, tab=tabs, place=strategies.integers(0, SIZE - 1))
    def release(self, who: str, tab: str, place: int) -> None:
        self.line.release(who, Pick(place), tab)

    @rule(seconds=strategies.sampled_from([1.0, LEASE_SECONDS / 2, LEASE_SECONDS]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nobody_is_one_too_many(self) -> None:
        for place in range(SIZE):
            labels = sum(kind == "pair" for (_, at), (kind, _) in self.said.items() if at == place)
            assert self.line.done[place] == labels
            assert labels + len(self.holders(place)) <= self.line.needed[place]
            assert self.line.leased[place] == len(self.holders(place))

    @invariant()
    def the_counters_agree(self) -> None:
        kinds = Counter((who, kind) for (who, _), (kind, _) in self.said.items())
        for who in PEOPLE:
            counts = self.line.progress(who)
            assert (counts["mine"], counts["skipped"], counts["flagged"]) == tuple(
                kinds[who, kind] for kind in ("pair", "skip", "flag")
            )
            assert (counts["done"], counts["needed"]) == (sum(self.line.done), self.needed())
            assert counts["today"] == counts["mine"]

    def teardown(self) -> None:
        """Out of the history alone comes the same line."""
        again = self.fresh()
        for judgement in self.history:
            again.apply(judgement)
        self.now += LEASE_SECONDS
        self.line.expire()
        assert (again.done, again.free) == (self.line.done, self.line.free)
        assert {w: p.acts for w, p in again.people.items() if p.acts} == {
            w: p.acts for w, p in self.line.people.items() if p.acts
        }


TestLabelling = Labelling.TestCase
TestLabelling.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def line_of(size: int) -> Line:
    return Line("overall", Places(np.arange(size)), b"\1" * size, lambda: 0.0)


def test_items_of_other_lines_and_acts_of_leads_change_nothing() -> None:
    line = line_of(2)
    line.apply(Judgement(uuid4(), 99, "ann", "pair", {}))
    line.apply(Judgement(uuid4(), 1, "lead", "clear", {"of": str(uuid4())}))
    line.apply(Judgement(uuid4(), 1, "ann", "pair", {}, axis="safety"))
    assert (line.got, line.take("ann", "t", "control"), line.take("ann", "t", "control")) == (0, Pick(0), Pick(1))


def test_today_begins_anew_each_day() -> None:
    line, now = line_of(3), datetime.now(UTC)
    for item, ts in ((0, now - timedelta(days=2)), (1, now - timedelta(days=1)), (2, now)):
        line.apply(Judgement(uuid4(), item, "ann", "pair", {}, ts=ts))
        assert line.progress("ann")["today"] == int(ts == now)
    assert line.progress("ann")["mine"] == 3


def test_a_day_begins_at_midnight_of_the_clock_on_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """In summer as in winter, whenever the server was started."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "Europe/Berlin")
        tzset()
        summer = [datetime(2026, 7, 9, 21, 59, tzinfo=UTC), datetime(2026, 7, 9, 22, 0, tzinfo=UTC)]
        winter = [datetime(2026, 1, 9, 22, 59, tzinfo=UTC), datetime(2026, 1, 9, 23, 0, tzinfo=UTC)]
        for before, after in (summer, winter):
            assert day_of(after) == day_of(before) + 1
    tzset()


def test_pace_is_the_median_of_the_time_spent() -> None:
    line = line_of(4)
    for item, shown, active in ((0, 9000, 1000), (1, 2000, None), (2, 6000, 0), (3, None, None)):
        line.apply(Judgement(uuid4(), item, "ann", "pair", {}, ms_shown=shown, ms_active=active))
    assert line.progress("ann")["median_s"] == 2.0
