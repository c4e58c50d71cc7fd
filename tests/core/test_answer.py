"""Finding the answer in a reply: what is accepted, and that everything else is malformed at bounded cost."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_gym.core.answer import (
    ANSWER_FORMATS,
    MAX_ANSWER,
    MAX_REPLY,
    Thoughts,
    ThoughtsLike,
    extract_answer,
    wrap_answer,
)
from forge_gym.core.registry import problem
from forge_gym.core.verdict import Malformed

BODIES = (
    st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="`<>"), min_size=1)
    .map(str.strip)
    .filter(bool)
)


@pytest.mark.parametrize("answer_format", ANSWER_FORMATS)
@given(body=BODIES)
def test_extract_inverts_wrap(answer_format: str, body: str) -> None:
    if "Answer:" not in body:
        assert extract_answer(wrap_answer(body, answer_format), answer_format) == body.strip(" \t\r\n\ufeff")


@pytest.mark.parametrize(
    "reply",
    [
        "<answer>[1]</answer>",
        "Let me think.\n<answer>[1]</answer>\nI hope this helps.",
        "<think>maybe <answer>[2]</answer></think><answer> [1]\r\n</answer>",
        "no opening tag of thoughts</think><answer>[1]</answer>",
        "<answer>\n```json\n[1]\n```\n</answer>",
        "<answer>\r\n```\r\n[1]\r\n```\r\n</answer>",
        "<answer> \n\n  ``` JSON \n\n[1]\n \n\t``` \n\n</answer>",
        "<answer>\n```sh\n[1]\n```\n</answer>",
        "<answer>\n```python3\t\n[1]\n```\n</answer>",
        "<answer>\n```c++\n[1]\n```\n</answer>",
        "```\n<answer>[1]</answer>\n```",
        "\ufeff<answer>\ufeff[1]</answer>",
        "prose in any script: → é 数 \ud800 <answer>[1]</answer>",
    ],
)
def test_documented_spellings_are_read(reply: str) -> None:
    assert extract_answer(reply, "tags") == "[1]"


@pytest.mark.parametrize(
    "reply",
    [
        "",
        " \n",
        "[1]",
        "<answer>[1]",
        "[1]</answer>",
        "</answer>[1]<answer>",
        "<answer></answer>",
        "<answer> \n</answer>",
        "<answer><answer>[1]</answer></answer>",
        "<answer>[1]</answer><answer>[1]</answer>",
        "<answer>[1]</answer> or </answer>",
        "<Answer>[1]</Answer>",
        "<think><answer>[1]</answer></think>",
        "<think><answer>[1]</answer>",
        "<answer>[1]</answer></think>",
        "<answer>[１]</answer>",
        "<answer>[1\u200d]</answer>",
        "<answer>[1\x1c]</answer>",
        "<answer>[1\v]</answer>",
        "<answer>[1\ud800]</answer>",
        "<answer>\n```\n[1]\n</answer>",
        "<answer>\n```\n[1]```\n</answer>",
        "<answer>\n```[1]\n```\n</answer>",
        "<answer>```\n[1]\n```\n</answer>",
        "<answer>\n```\n[1]\n```</answer>",
        "<answer>\r```\r[1]\r```\r</answer>",
        "<answer>\n```\n```\n</answer>",
        "<answer>\n```\n[1]\n```[2]\n</answer>",
        "<answer>\n```[1]\n[1]\n```\n</answer>",
        "<answer>\n````\n[1]\n````\n</answer>",
        f"<answer>{' ' * MAX_ANSWER}[1]</answer>",
        f"{' ' * MAX_REPLY}<answer>[1]</answer>",
    ],
)
def test_everything_else_is_malformed(reply: str) -> None:
    with pytest.raises(Malformed):
        extract_answer(reply, "tags")


@pytest.mark.parametrize(
    ("reply", "ok"),
    [
        ("I think so.\nAnswer: [1]", True),
        ("Answer: [1]\n", True),
        ("<think>Answer: [2]</think>\nAnswer: [1]", True),
        ("```\nAnswer: [1]\n```", True),
        ("```text\nAnswer: [1]\n```\n", True),
        ("Let me see.\n```\n\n  Answer:[1]\n \n  ```\n", True),
        ("```py\nx = 1\n```\nAnswer: [1]", True),
        ("```py\nx = 1\n```\n```\nAnswer: [1]\n```", True),
        ("Use `x` and ```y``` here.\nAnswer: [1]", True),
        ("```\nAnswer: [1]\n``` bye", False),
        ("```\nAnswer: [1]```", False),
        ("```Answer: [1]\n```", False),
        ("text ```\nAnswer: [1]\n```", False),
        ("```\ntext\nAnswer: [1]\n```", False),
        ("```\nAnswer: [1]", False),
        ("text\n \t```\nAnswer: [1]", False),
        ("Answer: [1]\n```", False),
        ("```py\nx = 1\n```\nAnswer: [1]\n```", False),
        ("Answer:\n```\n[1]\n```", False),
        ("Answer: ```[1]```", False),
        ("text\rAnswer: [1]", False),
        ("**Answer:** [1]", False),
        ("Answer: [1]\nbye", False),
        ("Answer: [2]\nAnswer: [1]", False),
        ("The Answer: [1]", False),
        ("answer: [1]", False),
        ("Answer:", False),
    ],
)
def test_line_format(reply: str, ok: bool) -> None:
    if ok:
        assert extract_answer(reply, "line") == "[1]"
    else:
        with pytest.raises(Malformed):
            extract_answer(reply, "line")


PAGE = Path(__file__, "../../../docs/verification.md").resolve().read_text(encoding="utf-8")
ROWS = re.findall(r'^\| (tags|line|raw) \| `+ ?(".*") ?`+ \| (.*) \|$', PAGE, re.MULTILINE)


def test_the_page_has_a_table_of_replies() -> None:
    assert len(ROWS) > 60
    assert {answer_format for answer_format, _, _ in ROWS} == set(ANSWER_FORMATS)


@pytest.mark.parametrize(("answer_format", "reply", "read"), ROWS)
def test_every_row_of_the_page_is_true(answer_format: str, reply: str, read: str) -> None:
    knapsack = problem("Knapsack", n=8, answer_format=answer_format)
    verdict = knapsack.verify(knapsack.instance(seed=1), json.loads(reply))
    if read == "malformed":
        assert verdict.status == "malformed"
    else:
        assert verdict.status != "malformed", verdict.reason
        assert list(verdict.solution) == json.loads(read.strip("`"))


# ---------------------------------------------------------------- thoughts

MARKS = (
    Thoughts(),
    Thoughts(inside=True),
    Thoughts("[/THINK]"),
    Thoughts("</reasoning>"),
    Thoughts("◁/think▷", inside=True),
    Thoughts("<|channel|>final<|message|>", "<|channel|>analysis<|message|>"),
    Thoughts("<|channel|>final<|message|>", inside=True),
    Thoughts("assistantfinal", "analysis", inside=True),
)
IN_THOUGHTS, GIVEN = "[2]", "[1]"


def stated(body: str, answer_format: str) -> str:
    """Return an answer at the end of some text, where the format allows text before it."""
    return {"tags": "So: ", "line": "So:\n", "raw": ""}[answer_format] + wrap_answer(body, answer_format)


@pytest.mark.parametrize("answer_format", ANSWER_FORMATS)
@pytest.mark.parametrize("thoughts", MARKS, ids=str)
@given(
    parts=st.lists(
        st.sampled_from(["end", "start", "answer", "</think>", "<think>", "[/THINK]", "[THINK]", "<", "]", " ", "\n"])
    )
)
def test_what_stands_in_thoughts_is_never_read(thoughts: Thoughts, answer_format: str, parts: list[str]) -> None:
    words = {"end": thoughts.end, "start": thoughts.start, "answer": stated(IN_THOUGHTS, answer_format)}
    thought = "".join(words.get(part, part) for part in parts)
    opened = "" if thoughts.inside else thoughts.start
    answer = stated(GIVEN, answer_format)
    assert extract_answer(f"{opened}{thought}{thoughts.end}{answer}", answer_format, thoughts) == GIVEN
    with pytest.raises(Malformed):  # cut off in a thought
        text = thought.replace(thoughts.end, "")
        while thoughts.end in text:  # where two parts join
            text = text.replace(thoughts.end, "")
        extract_answer(f"{opened}{text}{answer}", answer_format, thoughts)
    with pytest.raises(Malformed):
        extract_answer(f"{opened}{thought}{answer}{thoughts.end}", answer_format, thoughts)
    if thoughts.start:
        with pytest.raises(Malformed):
            extract_answer(f"{opened}{thought}{thoughts.end}{thoughts.start}{answer}", answer_format, thoughts)


@pytest.mark.parametrize("thoughts", MARKS, ids=str)
@given(
    parts=st.lists(
        st.sampled_from(["<answer>", "</answer>", "[1]", "end", "start", "<", "a", "r>", "\n"]), min_size=1, max_size=6
    )
)
def test_the_quick_way_reads_the_same(thoughts: Thoughts, parts: list[str]) -> None:
    text = "".join({"end": thoughts.end, "start": thoughts.start}.get(part, part) for part in [*parts, "</answer>"])

    def read(reply: str) -> str | None:
        try:
            return extract_answer(reply, "tags", thoughts)
        except Malformed:
            return None

    assert read(text) == read(f"{text} ")  # a blank at the end takes the other way


@pytest.mark.parametrize(
    ("value", "marks"),
    [
        ("</think>", Thoughts()),
        ("[/THINK]", Thoughts("[/THINK]", "[THINK]")),
        ("◁/think▷", Thoughts("◁/think▷", "◁think▷")),
        ({"inside": True}, Thoughts("</think>", "<think>", True)),
        ('{"end": "</x>", "start": "<y>"}', Thoughts("</x>", "<y>")),
        ({"end": "assistantfinal", "inside": True}, Thoughts("assistantfinal", inside=True)),
        (Thoughts("</x>"), Thoughts("</x>")),
    ],
)
def test_thoughts_are_said_by_plain_data(value: ThoughtsLike, marks: Thoughts) -> None:
    assert Thoughts.of(value) == marks == Thoughts.of(asdict(marks)) == Thoughts.of(json.dumps(asdict(marks)))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "end must be 1 to 64 printable characters"),
        ("\n</think>", "end must be 1 to 64 printable characters"),
        ("x" * 65, "end must be 1 to 64 printable characters"),
        ("]", "one of them a letter"),
        ("</answer>", "end must be told apart from"),
        ("swer", "end must be told apart from <answer>"),
        ("x<answer>y", "end must be told apart from <answer>"),
        ("Answer", "end must be told apart from Answer:"),
        ("final", "start must be 1 to 64 printable characters"),
        ({"end": "think]", "start": "[think]"}, "start must not hold end"),
        ({"end": "/xx", "start": 3}, "start must be 1 to 64"),
        ({"inside": 1}, "inside must be True or False"),
        ({"close": "x"}, "thoughts has no field 'close'"),
        ("{", "thoughts must be the end mark"),
        ("{}{}", "thoughts must be the end mark"),
        ('{"end": ' * 5000, "thoughts must be the end mark"),
        (None, "thoughts must be the end mark"),
        (["</think>"], "thoughts must be the end mark"),
    ],
)
def test_marks_that_would_hide_or_show_answers_are_refused(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        Thoughts.of(value)
    assert "\n" not in str(error.value)


def test_searching_for_thoughts_takes_linear_time() -> None:
    marks = Thoughts("aa/a", "aab")
    for part in ("a", "aa/", "aab", "aa/a", "<answer>", "```\n"):
        for answer_format in ANSWER_FORMATS:
            start = time.process_time()
            with suppress(Malformed):
                extract_answer(part * (MAX_REPLY // len(part)), answer_format, marks)
            assert time.process_time() - start < 0.5
