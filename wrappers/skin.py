"""Tell another story about the same instances: same data, same answers, other words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium as gym

from ..core.checks import check_choice, shorten
from .episode import episode_generator, text_env

_IRREGULAR = {"vertex": "vertices", "half": "halves", "person": "people"}
_KEPT = re.compile(r"\d|answer|json", re.IGNORECASE)
_HEADING = re.compile(r"\A[^\n:]* problem: ")
_QUOTED = r"(?<= )['\"].*"
"""From a quotation to the end of its line: a reply is cited as it is."""


@dataclass(frozen=True)
class Story:
    r"""Words in place of a problem's own.

    Raises
    ------
    ValueError
        If a word is empty, or one of those that keep data and answers readable: numbers, "answer" and "JSON".

    Examples
    --------
    >>> story = Story("picnic", "The basket is small.", {"item": "sandwich", "capacity": "room in the basket"})
    >>> print(story.tell("0/1 knapsack problem: choose items ...\ncapacity 10"))
    The basket is small. Choose sandwiches ...
    room in the basket 10
    """

    name: str
    scene: str
    """What stands before the task; whole sentences without numbers."""
    words: Mapping[str, str]
    """For words and phrases of the problem, in the singular, those of the story: plurals come along."""

    def __post_init__(self) -> None:
        for text in (self.scene, *self.words, *self.words.values()):
            if not isinstance(text, str) or not text.strip() or _KEPT.search(text):
                raise ValueError(
                    f"a story's words must be text without digits, 'answer' and 'JSON', got {shorten(text)}"
                )

    @cached_property
    def _forms(self) -> dict[str, str]:
        plurals = {_plural(old): _plural(new) for old, new in self.words.items()}
        return {old.lower(): new for old, new in (plurals | dict(self.words)).items()}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._forms, key=lambda words: (-len(words), words))
        words = "|".join(map(re.escape, longest_first)) or "(?!)"  # a story without words changes none
        return re.compile(rf"{_QUOTED}|\b(?P<words>{words})\b", re.IGNORECASE)

    def retell(self, text: str) -> str:
        """Return ``text`` in the story's words."""

        def other(found: re.Match[str]) -> str:
            if found["words"] is None:
                return found[0]
            new = self._forms[found["words"].lower()]
            return new[0].upper() + new[1:] if found[0][0].isupper() else new

        return self._pattern.sub(other, text)

    def tell(self, prompt: str) -> str:
        """Return ``prompt`` in the story's words, with its scene for the name of the problem."""
        task = _HEADING.sub("", prompt)
        return f"{self.scene} {self.retell(task[:1].upper() + task[1:])}"


def _plural(words: str) -> str:
    """Return the plural of ``words``, which end with a noun.

    Examples
    --------
    >>> _plural("city"), _plural("day"), _plural("half"), _plural("address"), _plural("exam")
    ('cities', 'days', 'halves', 'addresses', 'exams')
    """
    before, last = words[: -len(words.split()[-1])], words.split()[-1]
    if last in _IRREGULAR:
        return before + _IRREGULAR[last]
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return before + last[:-1] + "ies"
    return words + ("es" if last.endswith(("s", "x", "ch", "sh")) else "s")


_LINES = "its neighbours of higher number"
_ONCE = "every edge appears once"

STORIES: dict[str, tuple[Story, ...]] = {
    "BalancedMinCut": (
        Story(
            "school classes",
            "A school divides the pupils of a year between two classes and wants to part few close friends.",
            {
                "vertices of a graph": "pupils of the year",
                "vertex": "pupil",
                "half": "class",
                "weight": "strength",
                "edge": "friendship",
                "neighbour": "friend",
                "its neighbours": "that pupil's friends",
            },
        ),
        Story(
            "two chips",
            "A circuit is too large for one chip, and wires between two chips are expensive.",
            {
                "vertices of a graph": "components of the circuit",
                "vertex": "component",
                "half": "chip",
                "total weight of the edges": "total number of wires",
                "weight": "wires",
                "neighbour": "component",
                _LINES: "the components of higher number that are wired to it",
                _ONCE: "every two wired components appear once",
            },
        ),
    ),
    "GraphColoring": (
        Story(
            "exams",
            "A school plans its exams, and nobody can sit two of them at the same time.",
            {
                "a vertex": "an exam",
                "vertex": "exam",
                "colour": "slot",
                "adjacent vertices have": "exams that share a pupil have",
                "adjacent vertices differ": "exams that share a pupil have different slots",
                _LINES: "the exams of higher number with which it shares a pupil",
                _ONCE: "every such pair appears once",
                "edge": "pair",
            },
        ),
        Story(
            "radio",
            "Radio transmitters disturb each other if they are near and send on the same frequency.",
            {
                "vertex": "transmitter",
                "colour": "frequency",
                "adjacent vertices have": "transmitters near each other have",
                "adjacent vertices differ": "transmitters near each other have different frequencies",
                _LINES: "the transmitters of higher number near it",
                _ONCE: "every such pair appears once",
                "edge": "pair",
            },
        ),
    ),
    "HamiltonianCycle": (
        Story(
            "ferries",
            "Ferries run both ways between islands, and a traveller wants to see many islands on one round trip.",
            {
                "simple cycle": "round trip",
                "cycle": "round trip",
                "a vertex": "an island",
                "vertex": "island",
                "are adjacent": "are joined by a ferry",
                _LINES: "the islands of higher number joined to it by a ferry",
                "edge": "ferry",
            },
        ),
        Story(
            "mountain huts",
            "A club plans a walk that starts and ends at the same mountain hut and passes many others.",
            {
                "simple cycle": "circular walk",
                "cycle": "walk",
                "vertex": "hut",
                "are adjacent": "are linked by a path",
                _LINES: "the huts of higher number linked to it by a path",
                "edge": "path",
            },
        ),
    ),
    "Knapsack": (
        Story(
            "rescue flight",
            "A rescue helicopter leaves for a village cut off by snow, and it can lift only so much.",
            {
                "item": "crate",
                "value": "benefit",
                "capacity": "payload limit",
                "taken": "loaded",
            },
        ),
        Story(
            "film festival",
            "A film festival has one long night in its largest cinema, and too many films on offer.",
            {
                "item": "film",
                "value": "audience",
                "weight": "running time",
                "capacity": "time available",
                "taken": "shown",
            },
        ),
    ),
    "MaxClique": (
        Story(
            "expedition",
            "An expedition wants a large crew of sailors who all know each other from earlier voyages.",
            {
                "vertex": "sailor",
                "are adjacent": "have sailed together",
                "pairs that are not": "pairs that have not",
                _LINES: "the sailors of higher number who have sailed with that one",
                _ONCE: "every such pair appears once",
            },
        ),
        Story(
            "garden bed",
            "A gardener fills a bed with plants, and some plants do badly side by side.",
            {
                "vertex": "plant",
                "are adjacent": "thrive together",
                "pairs that are not": "pairs that do not",
                _LINES: "the plants of higher number that thrive together with it",
                _ONCE: "every such pair appears once",
            },
        ),
    ),
    "MaxIndependentSet": (
        Story(
            "jury",
            "A jury should be large, and its members should be strangers to each other.",
            {
                "vertex": "candidate",
                "are adjacent": "know each other",
                "pairs that are": "pairs that do",
                _LINES: "the candidates of higher number whom that one knows",
                _ONCE: "every such pair appears once",
            },
        ),
        Story(
            "chemical store",
            "A laboratory has one cabinet for its chemicals, and some of them react with each other.",
            {
                "vertex": "chemical",
                "are adjacent": "react with each other",
                "pairs that are": "pairs that do",
                _LINES: "the chemicals of higher number with which it reacts",
                _ONCE: "every such pair appears once",
            },
        ),
    ),
    "MeetingScheduling": (
        Story(
            "music school",
            "A music school plans the rehearsals of its ensembles for one day.",
            {
                "meeting": "rehearsal",
                "room": "studio",
                "attendee": "player",
                "person": "musician",
                "attendance": "appearance",
            },
        ),
        Story(
            "court",
            "A court plans the hearings of one day.",
            {
                "meeting": "hearing",
                "room": "courtroom",
                "attendee": "participant",
                "attendance": "appearance",
            },
        ),
    ),
    "SetCover": (
        Story(
            "fire stations",
            "A county builds fire stations, so that help is near in every village.",
            {
                "is in at least one": "is near at least one",
                "subset": "site",
                "element": "village",
                "its elements": "the villages near it",
            },
        ),
        Story(
            "interpreters",
            "A conference hires interpreters, so that every guest is understood.",
            {
                "subsets of the least total cost": "interpreters with the least total fee",
                "is in at least one": "is spoken by at least one",
                "subset": "interpreter",
                "element": "language",
                "cost": "fee",
                "covered": "spoken",
            },
        ),
    ),
    "SubsetSum": (
        Story(
            "gift card",
            "A gift card can be used for a single purchase, and what is left on it is lost.",
            {
                "with its position and the number": "with its number and its price",
                "at positions": "numbered",
                "positions of the chosen numbers": "numbers of the chosen articles",
                "position": "article number",
                "number": "article",
                "sum": "total price",
                "target": "balance",
                "taken": "bought",
            },
        ),
        Story(
            "radio programme",
            "A radio station fills an evening with songs, and silence at its end is a loss.",
            {
                "with its position and the number": "with its number and its length",
                "at positions": "numbered",
                "positions of the chosen numbers": "numbers of the chosen songs",
                "position": "song number",
                "number": "song",
                "sum": "total length",
                "target": "programme length",
                "taken": "played",
            },
        ),
    ),
    "TSP": (
        Story(
            "night courier",
            "A courier delivers parcels through the night and comes home at dawn.",
            {"city": "address", "tour": "round"},
        ),
        Story(
            "drilling machine",
            "A machine drills holes into a board and moves its head from hole to hole.",
            {"city": "hole", "tour": "path"},
        ),
    ),
}
"""Stories for each problem, by its name."""


class Skin(gym.Wrapper[str, str, str, str], gym.utils.RecordConstructorArgs):
    """Tell another story about the same instance: a knapsack becomes a rescue flight.

    Words change in prompts and feedback; data, numbers and the format of answers do not, and replies pass through
    unchanged, so verdicts and rewards stay what they are. ``story`` is the one of the episode.

    Parameters
    ----------
    env
        A text environment, wrapped or not.
    story
        A name in ``STORIES[problem]`` or a `Story` of your own; None draws one of the table for every
        episode, by seed and index alone.

    Raises
    ------
    ValueError
        If there is no such story, or the prompts are compact and have no words.

    Examples
    --------
    >>> import gymnasium as gym, forge_gym
    >>> env = Skin(gym.make("Forge/Knapsack-v0", n=4), "rescue flight")
    >>> prompt, info = env.reset(seed=3)
    >>> print(prompt[88:])  # doctest: +ELLIPSIS
    Choose crates with the greatest total benefit whose total weight does not exceed the payload limit. ...
    >>> feedback, *_ = env.step("<answer>[7]</answer>")
    >>> print(feedback)
    Your answer is infeasible: crates are 0 to 3, got 1 others.
    """

    def __init__(self, env: gym.Env[str, str], story: str | Story | None = None) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, story=story)
        gym.Wrapper.__init__(self, env)
        problem = text_env(env).problem
        if problem.style == "compact":
            raise ValueError(
                "a skin needs prompts with words, got style='compact': did you mean style='prose'?"
            )
        stories = {known.name: known for known in STORIES.get(problem.name, ())}
        if isinstance(story, Story):
            stories = {story.name: story}
        elif story is not None:
            check_choice("story", story, stories)
            stories = {story: stories[story]}
        if not stories:
            raise ValueError(f"story must be a Story, since STORIES has none for {problem.name}, got None")
        self._stories = tuple(stories.values())
        self.story = self._stories[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start the next episode, and draw its story."""
        prompt, info = self.env.reset(seed=seed, options=options)
        self.story = self._stories[episode_generator("Skin", info).integers(len(self._stories))]
        return self.story.tell(prompt), info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take a step, and tell its feedback in the story's words."""
        feedback, reward, terminated, truncated, info = self.env.step(action)
        return self.story.retell(feedback), float(reward), terminated, truncated, info

    def render(self) -> Any:
        """Return the picture of the environment, or its text in the story's words."""
        shown = super().render()
        return self.story.tell(shown) if isinstance(shown, str) else shown
