"""From text to token ids, the same way for training, scoring and sampling. Leaves out which rows make a unit (`units`).

Prompt and completions of a row are cut at their common token prefix; a completion ends with exactly one stop token
unless it was cut for length.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from workbench.errors import EngineError
from workbench.schema import Form

Ids = np.ndarray
Messages = list[dict[str, str]]
BATCH = 10_000
RULES = 1  # to be raised when the same text gives other ids than before: they are kept across runs
ROUND = 64
LONGEST = 2048
PROBE = "word"

# For tokenizers without a template: role name, colon, text, newline.
PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


class Dropped(Exception):
    """A row that cannot be trained on; the first argument is the reason as written to dropped.jsonl."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one snapshot row asks and answers, still as text."""

    id: str
    form: Form
    prompt: Messages
    answers: tuple[Messages, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a row; `shifted`: a token merged across the boundary and went to the completion."""

    prompt: Ids
    answers: tuple[Ids, ...]
    shifted: bool = False

    @property
    def length(self) -> int:
        return len(self.prompt) + max(map(len, self.answers), default=0)


@dataclass(frozen=True, slots=True)
class Line:
    """One prompt with one completion, as the model reads it. Tokens from `first` on are targets."""

    prompt: Ids
    answer: Ids
    first: int

    @classmethod
    def of(cls, prompt: Ids, answer: Ids, *, whole: bool = False) -> "Line":
        """`whole` makes every token but the first a target, not only the completion."""
        if not len(prompt) or not len(answer):
            raise EngineError(f"a line needs a prompt and an answer: got {len(prompt)} and {len(answer)} tokens")
        return cls(prompt, answer, 1 if whole else len(prompt))

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)

    @property
    def targets(self) -> int:
        return len(self) - self.first


@dataclass(frozen=True)
class Stops:
    """The ids that end an answer, and the one to append where none is."""

    ids: frozenset[int]
    append: int


def stops(tokenizer: Any, model_eos: int | Iterable[int] | None = None) -> Stops:
    """EOS of the tokenizer, EOS ids of the generation config, and the end-of-turn token of the template."""
    eos = tokenizer.eos_token_id
    ids = {eos} | ({model_eos} if isinstance(model_eos, int) else set(model_eos or ()))
    turn = _end_of_turn(tokenizer)
    ids = frozenset(i for i in ids | {turn} if i is not None)
    if eos is None and turn is None:
        raise EngineError("the tokenizer has no end-of-text token and its template none: answers could never end")
    return Stops(ids, eos if eos is not None else turn)


def _end_of_turn(tokenizer: Any) -> int | None:
    """The first special token after an assistant's word; None where the template refuses the word or changes it."""
    if not tokenizer.chat_template:
        return None
    try:
        text = render(tokenizer, "chat", [{"role": "user", "content": "a"}], [{"role": "assistant", "content": PROBE}])
    except Dropped:
        return None
    _, found, tail = text.rpartition(PROBE)
    if not found:
        return None
    special = set(tokenizer.all_special_ids)
    special |= {i for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    return next((i for i in tokenizer(tail, add_special_tokens=False)["input_ids"] if i in special), None)


def with_template(tokenizer: Any) -> bool:
    """Give a tokenizer without a chat template the plain one; True when it was needed."""
    if tokenizer.chat_template:
        return False
    tokenizer.chat_template = PLAIN_TEMPLATE
    return True


def render(tokenizer: Any, form: Form, prompt: Messages, answer: Messages | None = None) -> str:
    """The exact text: chat through the template, text form as the strings stand."""
    if form == "text":
        return "".join(m["content"] for m in [*prompt, *(answer or [])])
    try:
        return tokenizer.apply_chat_template(
            [*prompt, *(answer or [])], tokenize=False, add_generation_prompt=answer is None
        )
    except Exception as error:  # templates raise their own errors, for example when roles do not alternate
        raise Dropped("template_refuses", str(error)) from None


def prompt_ids(tokenizer: Any, form: Form, prompt: Messages) -> list[int]:
    """Token ids to sample from: the same prompt that training sees."""
    text = render(tokenizer, form, prompt)
    return _one_bos(tokenizer, tokenizer(text, add_special_tokens=form == "text")["input_ids"])


def encode(tokenizer: Any, rows: Sequence[Row], stop: Stops, *, empty: str = "drop") -> list[Encoded | Dropped]:
    """Token ids of every row, or why it is dropped. Equal texts are tokenised once, in large batches."""
    texts = [_texts(tokenizer, row, empty) for row in rows]
    known: dict[tuple[str, str], Ids] = {}
    for form in ("chat", "text"):
        wanted = [t for row, ts in zip(rows, texts, strict=True) if row.form == form and _fine(ts) for t in ts]
        distinct = list(dict.fromkeys(wanted))
        known |= {(form, text): ids for text, ids in _tokenise(tokenizer, distinct, special=form == "text")}
    return [
        _cut([known[row.form, t] for t in ts], stop, row.form) if _fine(ts) else ts
        for row, ts in zip(rows, texts, strict=True)
    ]


def _fine(texts: list[str] | Dropped) -> bool:
    return not isinstance(texts, Dropped)


def blank(answer: Messages) -> bool:
    return not "".join(m["content"] or "" for m in answer).strip()


def _texts(tokenizer: Any, row: Row, empty: str) -> list[str] | Dropped:
    """The prompt, then the prompt with each answer."""
    if any(map(blank, row.answers)):
        if empty == "error":
            raise EngineError(f"row {row.id}: blank answer; label it out, or set empty=drop")
        if empty == "drop":
            return Dropped("empty_answer")
    try:
        return [render(tokenizer, row.form, row.prompt, answer) for answer in (None, *row.answers)]
    except Dropped as reason:
        return reason


def _tokenise(tokenizer: Any, texts: list[str], *, special: bool) -> Iterable[tuple[str, Ids]]:
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        made = tokenizer(part, add_special_tokens=special, return_attention_mask=False, verbose=False)["input_ids"]
        for text, ids in zip(part, made, strict=True):
            yield text, np.asarray(_one_bos(tokenizer, ids), dtype=np.int32)


def _one_bos(tokenizer: Any, ids: list[int]) -> list[int]:
    return ids[1:] if len(ids) > 1 and ids[0] == ids[1] == tokenizer.bos_token_id else ids


def _cut(whole: list[Ids], stop: Stops, form: Form) -> Encoded | Dropped:
    """Split at the shortest common prefix of prompt and full texts, then end every completion once."""
    prompt, *full = whole
    boundary = min((_common_prefix(prompt, ids) for ids in full), default=len(prompt))
    if boundary == 0:
        return Dropped("empty_prompt")
    answers = tuple(_ended(ids[boundary:], stop, form) for ids in full)
    if not all(map(len, answers)):
        return Dropped("no_target")
    return Encoded(prompt[:boundary], answers, shifted=boundary < len(prompt))


def _common_prefix(a: Ids, b: Ids) -> int:
    n = min(len(a), len(b))
    different = np.nonzero(a[:n] != b[:n])[0]
    return int(different[0]) if len(different) else n


def _ended(answer: Ids, stop: Stops, form: Form) -> Ids:
    found = np.nonzero(reduce(np.logical_or, (answer == i for i in stop.ids)))[0].tolist()
    if not found or (form == "text" and found[-1] != len(answer) - 1):
        return np.append(answer, np.int32(stop.append))
    while len(found) > 1 and found[-2] == found[-1] - 1:  # the text ended by itself before the template ended it
        found.pop()
    return answer[: found[-1] + 1]


def check_vocabulary(encoded: Iterable[Encoded], rows: int) -> None:
    """Every id must have its row in the model's embedding: a foreign tokenizer would fail late, or read noise."""
    ids = [part for e in encoded for part in (e.prompt, *e.answers)]
    highest = int(np.concatenate(ids).max()) if ids else -1
    if highest >= rows:
        raise EngineError(
            f"the tokenizer gives token {highest}, the model knows {rows} tokens (0 to {rows - 1}): "
            "use the tokenizer this model was trained with"
        )


def fitting_length(encoded: Iterable[Encoded], limit: int) -> int:
    """What 99 % of the rows need, rounded up to a multiple of 64, at most 2048 and the model's limit."""
    lengths = sorted(e.length for e in encoded)
    needed = lengths[math.ceil(0.99 * len(lengths)) - 1] if lengths else ROUND
    return min(-(-needed // ROUND) * ROUND, LONGEST, limit)


def fit(encoded: Encoded | Dropped, row: Row, limit: int, truncation: str, tokenizer: Any, stop: Stops) -> Encoded:
    """Bring a row under `limit` tokens the chosen way, or raise `Dropped`. All answers share one prompt cut."""
    if isinstance(encoded, Dropped):
        raise encoded
    if encoded.length <= limit:
        return encoded
    if truncation == "error":
        raise EngineError(
            f"row {row.id}: {encoded.length} tokens, max_length is {limit}; raise it or choose truncation"
        )
    if truncation == "drop":
        raise Dropped("too_long")
    if truncation == "keep_recent":
        encoded = _recent(encoded, row, limit, tokenizer, stop)
    if len(encoded.prompt) >= limit:
        raise Dropped("prompt_fills")
    return replace(encoded, answers=tuple(a[: limit - len(encoded.prompt)] for a in encoded.answers))


def _recent(encoded: Encoded, row: Row, limit: int, tokenizer: Any, stop: Stops) -> Encoded:
    """Leave out the oldest turns after the system turn; of plain text, the oldest tokens after BOS."""
    if row.form == "text":
        kept = 1 if encoded.prompt[0] == tokenizer.bos_token_id else 0
        room = limit - max(map(len, encoded.answers)) - kept
        if room < 1:
            return encoded
        return replace(encoded, prompt=np.append(encoded.prompt[:kept], encoded.prompt[kept:][-room:]))
    first = 1 if row.prompt[0]["role"] == "system" else 0
    while encoded.length > limit and len(row.prompt) - first > 1:
        row = replace(row, prompt=row.prompt[:first] + row.prompt[first + 1 :])
        [made] = encode(tokenizer, [row], stop, empty="keep")
        encoded = encoded if isinstance(made, Dropped) else made
    return encoded
