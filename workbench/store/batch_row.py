"""The columns of `batch.parquet` and an item as a row of it. Leaves out DuckDB: the child that reads files has none."""

import pyarrow as pa

from workbench.schema import Item, Json, canonical, messages_to_json

COLUMNS = ("key", "group_id", "form", "prompt", "candidates", "tools", "lang", "tags", "origin")
SCHEMA = pa.schema([(name, pa.string()) for name in (*COLUMNS, "judgements")])


def batch_row(item: Item, judgements: list[Json] | tuple[()] = ()) -> dict[str, str | None]:
    """An item with the judgements that came with it."""
    candidates = [{"messages": messages_to_json(c.messages), "source": c.source, "gen": c.gen} for c in item.candidates]
    return {
        "key": item.key,
        "group_id": item.group_id,
        "form": item.form,
        "prompt": text(messages_to_json(item.prompt)),
        "candidates": text(candidates),
        "tools": None if item.tools is None else text(item.tools),
        "lang": item.lang,
        "tags": text(item.tags),
        "origin": text(item.origin),
        "judgements": text(judgements),
    }


def text(value: Json) -> str:
    return canonical(value).decode()
