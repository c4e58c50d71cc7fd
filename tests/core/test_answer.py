"""Finding the answer in a reply: what is accepted, and that everything else is malformed at bounded cost."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_gym.core.answer import (
    ANSWER_FORMATS,
    MAX_ANSWER,
    MAX_REPLY,
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
