"""Who did what, when, on which thing: acts, sign-ins and leads' decisions. Leaves out what the acts changed.

Labels are their own log and are not in this one.
"""

import json
from typing import Any

from workbench.schema import Event, Json
from workbench.store import rows
from workbench.store.db import Store, uid

# The state that acts leave behind: the acts themselves are in the log.
LOG = """WITH log AS (
    SELECT seq, ts, actor AS who, payload ->> 'act' AS act, (payload -> 'on')::VARCHAR AS thing
        FROM events WHERE kind = 'audit'
    UNION ALL
    SELECT seq, ts, actor, kind, payload FROM events WHERE kind NOT IN
        ('audit', 'genesis', 'segment', 'account', 'project', 'import', 'snapshot', 'run', 'scores', 'token')
    UNION ALL
    SELECT seq, ts, annotator, if(purpose = 'adjudication', purpose, kind),
        json_object('item', item, 'axis', axis)::VARCHAR
        FROM judgements WHERE purpose = 'adjudication' OR kind IN ('clear', 'gold', 'withdraw')) """
PAGE = f"""{LOG} SELECT seq, epoch_us(ts), who, act, thing FROM log
    WHERE (? IS NULL OR who = ?) AND (? IS NULL OR act = ?) AND (? IS NULL OR seq < ?) ORDER BY seq DESC LIMIT ?"""  # noqa: S608 constants
CHOICES = f"{LOG} SELECT DISTINCT who, act FROM log"  # noqa: S608 constants


def note(store: Store, who: str, act: str, **thing: Json) -> None:
    """One line of the log. Whoever calls leaves out passwords and tokens."""
    store.append(Event(uid(), who, "audit", {"act": act, "on": thing}))


def entries(
    store: Store, who: str | None = None, act: str | None = None, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Lines of one person and one kind, or of all, below number `before`, newest first."""
    with store.cursor() as cur:
        found = cur.execute(PAGE, [who, who, act, act, before, before, limit]).fetchall()
    return [
        {"seq": seq, "at": rows.moment(at), "who": who, "act": act, "on": json.loads(thing)}
        for seq, at, who, act, thing in found
    ]


def choices(store: Store) -> tuple[list[str], list[str]]:
    """Everybody who did something, and every kind of act there is."""
    with store.cursor() as cur:
        found = cur.execute(CHOICES).fetchall()
    return sorted({who for who, _ in found}), sorted({act for _, act in found})
