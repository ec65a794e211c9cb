"""Rows of every dialect, written for the tests: (row, (prompt texts, answer texts), choices, labels or tiers)."""

from typing import Any

U, A = {"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4."}
B = {"role": "assistant", "content": "5."}
HUMAN, FOUR, FIVE = ({"from": w, "value": v} for w, v in (("human", "2 + 2?"), ("gpt", "4."), ("gpt", "5.")))
SUM = (["2 + 2?"], ["4.", "5."])
ONE = (["2 + 2?"], ["4."])
ADD = (["Add\n2 + 2"], ["4.", "5."])


def parts(*turns: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"role": role, "content": [{"type": "text", "value": text}], "loss_weight": 0.0} for role, text in turns]


GOLDEN: dict[str, list[tuple[dict[str, Any], tuple[list[str], list[str]], list[Any]]]] = {
    "trl_preference": [
        ({"prompt": "2 + 2 =", "chosen": " 4.", "rejected": " 5."}, (["2 + 2 ="], [" 4.", " 5."]), [0]),
        ({"prompt": [U], "chosen": [A], "rejected": [B]}, SUM, [0]),
    ],
    "trl_implicit": [
        ({"chosen": [U, A], "rejected": [U, B], "margin": 0.5}, SUM, [0]),
        (
            {"chosen": "I'm sorry, but no.", "rejected": "I'm sorry, but yes."},
            ([], ["I'm sorry, but no.", "I'm sorry, but yes."]),
            [0],
        ),
    ],
    "trl_unpaired": [
        ({"prompt": "2 + 2 =", "completion": " 4.", "label": True}, (["2 + 2 ="], [" 4."]), [True]),
        ({"prompt": [U], "completion": [A], "label": False}, ONE, [False]),
        (
            {"prompt": "2 + 2?", "completions": ["Two and two.", "4."], "labels": [True, True]},
            (["2 + 2?"], ["Two and two.\n4."]),
            [],
        ),
    ],
    "hh_rlhf": [
        (
            {
                "chosen": "\n\nHuman: Boil an egg?\n\nAssistant: Eight minutes.",
                "rejected": "\n\nHuman: Boil an egg?\n\nAssistant: No idea.",
            },
            (["Boil an egg?"], ["Eight minutes.", "No idea."]),
            [0],
        ),
        ({"transcript": "\n\nHuman: Boil an egg?\n\nAssistant: No.", "rating": 2.0}, (["Boil an egg?"], []), []),
    ],
    "ultrafeedback_bin": [
        (
            {
                "prompt": "2 + 2?",
                "prompt_id": "f0",
                "chosen": [U, A],
                "rejected": [U, B],
                "messages": [U, A],
                "score_chosen": 8.5,
                "score_rejected": 6.0,
            },
            SUM,
            [0],
        ),
        ({"prompt": [U], "chosen": [U, A], "rejected": [U, B]}, SUM, [0]),
        ({"prompt": "2 + 2 =", "chosen": "2 + 2 = 4.", "rejected": "2 + 2 = 5."}, (["2 + 2 ="], [" 4.", " 5."]), [0]),
    ],
    "llamafactory": [
        ({"instruction": "Add", "input": "2 + 2", "chosen": "4.", "rejected": "5."}, ADD, [0]),
        ({"conversations": [HUMAN], "chosen": FOUR, "rejected": FIVE}, SUM, [0]),
        ({"conversations": [HUMAN, FOUR], "kto_tag": True}, ONE, [True]),
        ({"instruction": "Add", "input": "2 + 2", "output": ["4.", "5."]}, ADD, [0]),
        ({"instruction": "Add", "output": "4.", "kto_tag": False}, (["Add"], ["4."]), [False]),
        (
            {
                "chosen_messages": parts(("user", "2 + 2?"), ("assistant", "4.")),
                "rejected_messages": parts(("user", "2 + 2?"), ("assistant", "5.")),
            },
            SUM,
            [0],
        ),
    ],
    "ms_swift": [
        ({"messages": [U, A], "rejected_response": "5."}, SUM, [0]),
        ({"messages": [U, A], "rejected_response": [B]}, SUM, [0]),
        ({"messages": [U, A], "rejected_messages": [U, B]}, SUM, [0]),
        ({"messages": [U, A], "label": True}, ONE, [True]),
    ],
    "demonstrations": [
        ({"conversations": [HUMAN, FOUR]}, ONE, []),
        ({"conversation": [{"human": "2 + 2?", "assistant": "4."}]}, ONE, []),
        ({"messages": [U, A]}, ONE, []),
        ({"messages": [U]}, (["2 + 2?"], []), []),
        ({"instruction": "Add", "input": "2 + 2", "output": "4."}, (["Add\n2 + 2"], ["4."]), []),
        (
            {"query": "2 + 2?", "response": "4.", "history": [["Hi", "Hello!"]]},
            (["Hi", "Hello!", "2 + 2?"], ["4."]),
            [],
        ),
    ],
    "oasst": [
        (
            {
                "message_tree_id": "t1",
                "prompt": {
                    "text": "2 + 2?",
                    "role": "prompter",
                    "replies": [
                        {"text": "5.", "role": "assistant", "rank": 1, "replies": []},
                        {"text": "4.", "role": "assistant", "rank": 0, "replies": []},
                        {"text": "6.", "role": "assistant", "rank": 2, "replies": []},
                    ],
                },
            },
            (["2 + 2?"], ["4.", "5.", "6."]),
            [[[0], [1], [2]]],
        ),
        (
            {
                "message_tree_id": "t1",
                "prompt": {
                    "text": "2 + 2?",
                    "role": "prompter",
                    "replies": [{"text": "4.", "role": "assistant", "replies": []}],
                },
            },
            (["2 + 2?"], []),
            [],
        ),
    ],
    "label_studio": [
        (
            {
                "data": {"prompt": "2 + 2?", "answer1": "4.", "answer2": "5."},
                "annotations": [
                    {
                        "completed_by": 2,
                        "was_cancelled": False,
                        "lead_time": 12.5,
                        "result": [{"from_name": "c", "type": "pairwise", "value": {"selected": "left"}}],
                    }
                ],
            },
            SUM,
            [0],
        ),
    ],
    "stack_paired": [({"question": "2 + 2?", "response_j": "4.", "response_k": "5."}, SUM, [0])],
    "pandalm": [
        (
            {
                "instruction": "Add",
                "input": "2 + 2",
                "response1": "4.",
                "response2": "5.",
                "cmp_key": "m1_m2",
                "annotator1": 1,
                "annotator2": 2,
                "annotator3": 0,
            },
            ADD,
            [0, 1, "tie"],
        ),
    ],
    "prompts": [
        ({"prompt": "2 + 2?", "candidates": [{"model": "m1", "text": "4."}, {"model": "m2", "text": "5."}]}, SUM, []),
        ({"prompt": "2 + 2?", "responses": ["4.", "5."]}, SUM, []),
        ({"prompt": [U], "response": "4."}, ONE, []),
        ({"prompt": "2 + 2?", "answer1": "4.", "answer2": "5."}, SUM, []),
        ({"turns": ["2 + 2?", "And 3 + 3?"], "question_id": 1}, (["2 + 2?"], []), []),
        ({"prompt": "2 + 2?"}, (["2 + 2?"], []), []),
    ],
}
