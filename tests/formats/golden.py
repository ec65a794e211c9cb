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
        ({"prompt": "2 + 2 =", "completion": " 4."}, (["2 + 2 ="], [" 4."]), []),
        ({"prompt": [U], "completion": [A]}, ONE, []),
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
        ({"prompt": "2 + 2?", "answers": ["4.", {"text": "5.", "source": "m2"}]}, SUM, []),
        ({"prompt": [U], "response": "4."}, ONE, []),
        ({"prompt": "2 + 2?", "answer1": "4.", "answer2": "5."}, SUM, []),
        ({"turns": ["2 + 2?", "And 3 + 3?"], "question_id": 1}, (["2 + 2?"], []), []),
        ({"prompt": "2 + 2?"}, (["2 + 2?"], []), []),
    ],
    "rankings": [
        (
            {"prompt": [U], "candidates": [[B], [A], "6."], "tiers": [[1], [0, 2]]},
            (["2 + 2?"], ["4.", "5.", "6."]),
            [[[0], [1, 2]]],
        ),
        ({"prompt": "2 + 2?", "candidates": ["5.", "4."], "tiers": [[1], [0]]}, SUM, [0]),
    ],
    "ultrafeedback_raw": [
        (
            {
                "instruction": "2 + 2?",
                "completions": [
                    {"model": "m1", "response": "4.", "overall_score": 8.0},
                    {"model": "m2", "response": "5.", "overall_score": "N/A"},
                ],
            },
            SUM,
            [8.0],
        ),
    ],
    "shp": [
        (
            {
                "history": "2 + 2?",
                "human_ref_A": "4.",
                "human_ref_B": "5.",
                "labels": 1,
                "score_A": 40,
                "score_B": 10,
                "score_ratio": 4.0,
                "domain": "x",
            },
            SUM,
            [0],
        ),
        ({"history": "2 + 2?", "human_ref_A": "4.", "human_ref_B": "5.", "labels": 0, "score_ratio": 1.0}, SUM, [1]),
    ],
    "summarize_comparisons": [
        (
            {
                "info": {"id": "t3", "title": "Job", "post": "I got a job."},
                "summaries": [{"text": " Got a job.", "policy": "p1"}, {"text": " Rain.", "policy": "p2"}],
                "choice": 0,
                "worker": "w1",
                "extra": {"confidence": 2},
            },
            (["I got a job."], [" Got a job.", " Rain."]),
            [0],
        ),
    ],
    "webgpt": [
        (
            {"question": {"full_text": "2 + 2?"}, "answer_0": "4.", "score_0": 0.5, "answer_1": "5.", "score_1": -0.5},
            SUM,
            [0],
        ),
        (
            {"question": {"full_text": "2 + 2?"}, "answer_0": "4.", "score_0": 0.0, "answer_1": "5.", "score_1": 0.0},
            SUM,
            ["tie"],
        ),
    ],
    "openai_dpo": [
        ({"input": {"messages": [U], "tools": []}, "preferred_output": [A], "non_preferred_output": [B]}, SUM, [0])
    ],
    "axolotl": [
        (
            {"system": "Be brief.", "question": "2 + 2?", "chosen": "4.", "rejected": "5."},
            (["Be brief.", "2 + 2?"], ["4.", "5."]),
            [0],
        ),
        ({"instruction": "2 + 2?", "chosen_response": "4.", "rejected_response": "5."}, SUM, [0]),
        ({"input": "2 + 2?", "chosen": "4.", "rejected": "5."}, SUM, [0]),
        ({"messages": [U], "chosen": A, "rejected": B}, SUM, [0]),
    ],
    "argilla2": [
        (
            {
                "id": "r1",
                "_server_id": "s1",
                "prompt": "2 + 2?",
                "response1": "4.",
                "response2": "5.",
                "preference.responses": ["response2", "response1", "response1"],
                "preference.responses.users": ["u1", "u2", "u3"],
                "preference.responses.status": ["submitted", "draft", "submitted"],
                "preference.suggestion": ["response1", "response2"],
            },
            SUM,
            [1, 0, 0],
        ),
        (
            {
                "prompt": "2 + 2?",
                "response1": "4.",
                "response2": "5.",
                "response3": "6.",
                "order.responses": [
                    [
                        {"value": "response1", "rank": 1},
                        {"value": "response2", "rank": 2},
                        {"value": "response3", "rank": 2},
                    ]
                ],
                "order.responses.users": ["u1"],
                "order.responses.status": ["submitted"],
            },
            (["2 + 2?"], ["4.", "5.", "6."]),
            [[[0], [1, 2]]],
        ),
    ],
    "argilla1": [
        (
            {
                "prompt": "2 + 2?",
                "response1": "4.",
                "response2": "5.",
                "better": [{"user_id": "u1", "value": "response2", "status": "submitted"}],
            },
            SUM,
            [1],
        ),
    ],
    "arena": [
        (
            {
                "model_a": "m1",
                "model_b": "m2",
                "winner": "tie (bothbad)",
                "judge": "j1",
                "conversation_a": [U, A],
                "conversation_b": [U, B],
            },
            SUM,
            ["both_bad"],
        ),
        (
            {
                **{
                    "model_a": "m1",
                    "model_b": "m2",
                    "prompt": '["2 + 2?"]',
                    "response_a": '["4."]',
                    "response_b": '["5."]',
                },
                **{"winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0},
            },
            SUM,
            [1],
        ),
    ],
    "helpsteer": [
        (
            {
                "context": [U],
                "response1": "4.",
                "response2": "5.",
                "overall_preference": -3,
                "individual_preference": [{"score": -3, "reasoning": "R1 is right."}, {"score": 1}, {"score": 0}],
            },
            SUM,
            [0, 1, "tie"],
        ),
        ({"context": [U], "response1": "4.", "response2": "5.", "overall_preference": 2}, SUM, [1]),
        (
            {
                "prompt": "2 + 2?",
                "response_1": "4.",
                "response_2": "5.",
                "preference_strength": -1,
                "preference_statement": "Response 1 is slightly better than Response 2.",
            },
            SUM,
            [0],
        ),
    ],
    "nectar": [
        (
            {
                "prompt": "\n\nHuman: 2 + 2?\n\nAssistant: ",
                "answers": [{"answer": "5.", "model": "m1", "rank": 2}, {"answer": "4.", "model": "m2", "rank": 1}],
            },
            SUM,
            [0],
        ),
    ],
    "pku_safe": [
        (
            {
                **{
                    "prompt": "2 + 2?",
                    "response_0": "4.",
                    "response_1": "5.",
                    "is_response_0_safe": True,
                    "is_response_1_safe": False,
                },
                **{"better_response_id": 0, "safer_response_id": 1},
            },
            SUM,
            [0, 1, 1.0, 0.0],
        ),
    ],
    "prodigy": [
        (
            {
                "text": "2 + 2?",
                "options": [{"id": "a", "text": "4."}, {"id": "b", "text": "5."}],
                "accept": ["a"],
                "answer": "accept",
                "_input_hash": 1,
                "_session_id": "s-u1",
            },
            SUM,
            [0],
        ),
        (
            {
                "text": "2 + 2?",
                "options": [{"id": "a", "text": "4."}, {"id": "b", "text": "5."}],
                "accept": [],
                "answer": "ignore",
                "_input_hash": 1,
            },
            SUM,
            [None],
        ),
    ],
    "open_webui": [
        (
            {
                "type": "rating",
                "data": {
                    "rating": rating,
                    "model_id": "m1",
                    "sibling_model_ids": siblings,
                    "reason": "",
                    "comment": "right",
                },
                "meta": {"message_id": "b"},
                "snapshot": {
                    "chat": {
                        "chat": {
                            "history": {
                                "messages": {
                                    "a": {"id": "a", "role": "user", "content": "2 + 2?", "parentId": None},
                                    "b": {
                                        "id": "b",
                                        "role": "assistant",
                                        "content": "4.",
                                        "parentId": "a",
                                        "model": "m1",
                                    },
                                    "c": {
                                        "id": "c",
                                        "role": "assistant",
                                        "content": "5.",
                                        "parentId": "a",
                                        "model": "m2",
                                    },
                                }
                            }
                        }
                    }
                },
            },
            expected,
            votes,
        )
        for rating, siblings, expected, votes in ((1, None, ONE, [True]), ("-1", ["m2"], SUM, [1]))
    ],
    "alpaca_eval": [
        (
            {
                "instruction": "2 + 2?",
                "output_1": "4.",
                "output_2": "5.",
                "generator_1": "m1",
                "generator_2": "m2",
                "annotator": "j",
                "preference": preference,
            },
            SUM,
            [choice],
        )
        for preference, choice in ((1.0, 0), (1.9, 1), (1.5, "tie"), (0, "tie"))
    ],
}
