"""When an annotator is checked instead of asked: gold items, own items with sides swapped, calibration.

Leaves out what is right (`meaning.agrees`) and how it is shown. Spec: shares of views, and who has passed.
"""

from random import Random

from workbench.labelling.line import Line, Pick
from workbench.labelling.person import Person
from workbench.schema import Json
from workbench.store.projects import Project

APART = 10  # of so many views in a row one is gold, at most
AFTER = 50  # other labels before an item comes again
SET, PASS = 20, 16


def check_for(line: Line, annotator: str, rules: Project, rng: Random) -> Pick | None:
    """A check in place of the next item, by the project's shares; the annotator is not told."""
    person = line.people[annotator]
    if line.writes:
        return None
    if person.views - person.gold_at >= APART and rng.random() < odds(rules.gold):
        known = [place for place in line.golden() if not met(line, annotator, place)]
        if known:
            person.gold_at = person.views
            return Pick(rng.choice(known), "gold")
    if len(person.labels) > AFTER and rng.random() < rules.repeats:
        return repeat_for(line, annotator, rng)
    return None


def odds(share: float) -> float:
    """The chance of a gold item once one may come, so that they make `share` of all views."""
    return min(1.0, share / max(1e-9, 1 - (APART - 1) * share))


def repeat_for(line: Line, annotator: str, rng: Random) -> Pick | None:
    """An own label of more than fifty labels ago that still stands and was not repeated yet; some tries find one."""
    person = line.people[annotator]
    for _ in range(20):
        place = person.labels[rng.randrange(len(person.labels) - AFTER)]
        again = (place, "repeat") in line.leases[annotator] or person.did(place, "repeat")
        if not again and person.acts.get(place) == "label" and not line.shut.get(place):
            return Pick(place, "repeat")
    return None


def met(line: Line, annotator: str, place: int) -> bool:
    """Did or does this person see the item as gold, in a calibration or silently?"""
    person = line.people[annotator]
    return any(person.did(place, p) or (place, p) in line.leases[annotator] for p in ("gold", "calibration"))


def calibration(line: Line, annotator: str, rules: Project, *, passed: bool, again: bool) -> str:
    """`passed`, `going` or `failed`. Without a set of gold items nobody is held up, nor who was at work before."""
    person = line.people[annotator]
    passed = passed or (bool(person.labels) and not person.taught and not again)
    golden = line.golden() if rules.calibrate and not passed else []
    if len(golden) < SET or through(person):
        return "passed"
    room = any(not met(line, annotator, place) for place in golden) or held(line, annotator)
    return "going" if len(person.taught) < 2 * SET and room else "failed"


def through(person: Person) -> bool:
    """16 of the first 20 are right, or 16 of the second."""
    sets = (person.taught[at : at + SET] for at in (0, SET))
    return any(len(part) == SET and sum(part) >= PASS for part in sets)


def lesson_for(line: Line, annotator: str) -> Pick | None:
    """The next calibration item, the same ones for everybody; none beyond the set that is going on."""
    so_far = len(line.people[annotator].taught) + held(line, annotator)
    if so_far and so_far % SET == 0 and (held(line, annotator) or so_far >= 2 * SET):
        return None
    place = next((place for place in line.golden() if not met(line, annotator, place)), None)
    return None if place is None else Pick(place, "calibration")


def held(line: Line, annotator: str) -> int:
    return sum(check == "calibration" for _, check in line.leases[annotator])


def lesson(line: Line, annotator: str) -> dict[str, Json]:
    """How far the calibration is."""
    done = len(line.people[annotator].taught)
    return {"done": done % SET, "of": SET}
