"""Many annotators in a process of their own: `python -m tests.bench.annotators TASK.json`, figures to its `out`.

They behave as `label.js`: ten items leased, more below five, one post after another with a uid that a retry repeats, a
heartbeat every 30 s. Leaves out the server and the browser beside them (`labelling`).
"""

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

BUFFER, REFILL_BELOW, BEAT, RETRY = 10, 5, 30.0, 0.3
PATIENCE = 30.0  # seconds that the last posts have after the end
REFUSED = (409, 410, 422)


class Figures:
    def __init__(self) -> None:
        self.acked: list[str] = []
        self.milliseconds: list[float] = []
        self.refused = self.errors = self.waiting = 0


class Annotator:
    """One person at the Label page, whose thoughts take `think` seconds on average."""

    def __init__(self, client: httpx.AsyncClient, task: dict[str, Any], token: str, number: int, told: Figures) -> None:
        self.client, self.task, self.told = client, task, told
        self.head = {"cookie": f"sid={token}; project={task['project']}"}
        self.tab, self.drawn = uuid4().hex, random.Random(number)
        self.buffer: list[dict[str, Any]] = []
        self.outbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.sending: list[str] = []
        self.filling: asyncio.Task[None] | None = None

    async def work(self, until: float) -> None:
        await asyncio.sleep(self.drawn.random() * self.task["think"])
        beside = [asyncio.create_task(self.send()), asyncio.create_task(self.beat(until))]
        await self.refill()
        while time.monotonic() < until:
            await asyncio.sleep(self.drawn.expovariate(1 / self.task["think"]))
            if len(self.buffer) < REFILL_BELOW and (self.filling is None or self.filling.done()):
                self.filling = asyncio.create_task(self.refill())
            if self.buffer:
                self.answer(self.buffer.pop(0))
        self.outbox.put_nowait(None)
        await asyncio.wait(beside[:1], timeout=PATIENCE)
        self.told.waiting += len(self.sending)
        await self.filling if self.filling else None
        for task in beside:
            task.cancel()

    def answer(self, item: dict[str, Any]) -> None:
        choice = self.drawn.choice([0, 1, 0, 1, 0, 1, "tie", "both_bad"])
        payload = {"choice": choice, "strength": self.drawn.randint(1, 3) if choice in (0, 1) else None}
        said = {"uid": str(uuid4()), "tab": self.tab, "lease": item["lease"], "view": item["view"], "kind": "pair"}
        self.sending.append(item["lease"])
        self.outbox.put_nowait(said | {"payload": payload, "ms_shown": 2000, "ms_active": 1900})

    async def send(self) -> None:
        """One post after another; a lost answer is asked for again with the same uid."""
        while (body := await self.outbox.get()) is not None:
            while not await self.posted(body):
                await asyncio.sleep(RETRY)
            self.sending.remove(body["lease"])

    async def posted(self, body: dict[str, Any]) -> bool:
        begun = time.perf_counter()
        status, told = await self.ask("submit", body)
        self.told.milliseconds.append(1000 * (time.perf_counter() - begun))
        if status == 200:
            assert told["ack"] == body["uid"]
            self.told.acked.append(body["uid"])
        self.told.refused += status in REFUSED
        return status == 200 or status in REFUSED

    async def refill(self) -> None:
        held = [*(item["lease"] for item in self.buffer), *self.sending]
        wanted = {"project": self.task["project"], "task": "pair", "tab": self.tab, "want": BUFFER + len(self.sending)}
        status, told = await self.ask("lease", wanted | {"held": held})
        known = {*held, *self.sending}
        self.buffer += [item for item in told.get("items", []) if status == 200 and item["lease"] not in known]

    async def beat(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(BEAT)
            await self.ask("heartbeat", {"tab": self.tab, "held": [item["lease"] for item in self.buffer]})

    async def ask(self, what: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and JSON; 0 when there was no answer."""
        try:
            answer = await self.client.post(f"/api/label/{what}", json=body, headers=self.head)
            status, told = answer.status_code, answer.json()
        except (httpx.HTTPError, ValueError):
            status, told = 0, {}
        self.told.errors += status not in (200, *REFUSED)
        return status, told


async def run(task: dict[str, Any]) -> Figures:
    told, tokens = Figures(), task["tokens"]
    limits = httpx.Limits(max_connections=2 * len(tokens) + 10, max_keepalive_connections=2 * len(tokens) + 10)
    head = {"origin": task["base"]}
    async with httpx.AsyncClient(base_url=task["base"], headers=head, limits=limits, timeout=20) as client:
        until = time.monotonic() + task["seconds"]
        people = [Annotator(client, task, token, number, told) for number, token in enumerate(tokens)]
        await asyncio.gather(*(person.work(until) for person in people))
    return told


def main(path: Path) -> None:
    task = json.loads(path.read_text())
    told = asyncio.run(run(task))
    Path(task["out"]).write_text(json.dumps(vars(told)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
