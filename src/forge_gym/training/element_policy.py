"""A policy for `Construct` that treats all elements alike, for Stable-Baselines3's PPO and sb3-contrib's MaskablePPO.

A plain network over a flattened observation has to learn for each element anew what it is worth. Here one network
looks at every element, attends to the others through their links, and scores it as a choice, so that renumbering
the elements renumbers the scores (after Kool et al. [1]_), and no parameter depends on their number.

References
----------
.. [1] W. Kool, H. van Hoof, M. Welling, "Attention, learn to solve routing problems!", ICLR 2019.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

HEADS = 4


class Scores(BaseFeaturesExtractor):
    """A score for each action, then a summary of the state for the value.

    Parameters
    ----------
    observation_space
        Of `Construct`.
    width
        Of every layer.
    layers
        Rounds of attention.
    """

    def __init__(self, observation_space: spaces.Dict, width: int = 64, layers: int = 2) -> None:
        shapes = {key: space.shape or () for key, space in observation_space.spaces.items()}
        self.actions = shapes["action_mask"][0]
        super().__init__(observation_space, self.actions + width)
        size, self.columns = shapes["solution"]
        self.square = "links" in shapes and shapes["links"] == (size, size)
        # An element has a score, one for each resource, or none where labels are scored; a last action stops.
        self.labels = self.columns - 2 if self.columns == size + 2 and self.actions == size else 0
        inputs = shapes["elements"][1] + self.columns * (2 if "links" in shapes else 1)
        self.embed = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList([_Block(width) for _ in range(layers)])
        self.context = nn.Sequential(nn.Linear(width * (2 + 2), width), nn.ReLU(), nn.Linear(width, width))
        outputs = 1 if self.labels else self.actions // size
        self.score = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, outputs))
        self.stop = nn.Linear(width, 1)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return (batch, actions + width)."""
        elements, solution = observations["elements"], observations["solution"]
        links = observations.get("links")
        present = elements[..., :1]
        inputs, near = [elements, solution], None
        if links is not None:  # how each element is linked to those chosen, to the last, to each label, ...
            near = links if self.square else links @ links.transpose(1, 2) / links.shape[2]
            inputs.append((near @ solution).clamp(max=4.0))
        hidden = self.embed(torch.cat(inputs, dim=-1))
        for block in self.blocks:
            hidden = block(hidden, near, present)
        count = present.sum(dim=1).clamp(min=1.0)
        mean = (hidden * present).sum(dim=1) / count
        top = hidden.masked_fill(present == 0, -1e4).amax(dim=1)
        marked = [(hidden * solution[..., k : k + 1]).sum(dim=1) for k in (0, min(1, self.columns - 1))]
        marked[0] = marked[0] / count
        context = self.context(torch.cat([mean, top, *marked], dim=-1))
        if self.labels:
            hidden = (solution[..., 2:].transpose(1, 2) @ hidden) / count[..., None]
        around = context[:, None].expand(-1, hidden.shape[1], -1)
        scores = self.score(torch.cat([hidden, around], dim=-1)).flatten(1)
        if scores.shape[1] < self.actions:
            scores = torch.cat([scores, self.stop(context)], dim=1)
        return torch.cat([scores, context], dim=1)


class _Block(nn.Module):
    """Attention between elements, with a bias for each link; where links lead elsewhere, there and back again."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.queries = nn.Linear(width, 3 * width)
        self.bias = nn.Linear(1, HEADS)
        self.out = nn.Linear(width, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.mix = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, hidden: Tensor, near: Tensor | None, present: Tensor) -> Tensor:
        batch, size, width = hidden.shape
        q, k, v = self.queries(self.norms[0](hidden)).view(batch, size, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        bias = present[:, None].transpose(2, 3).log().clamp(min=-1e4)  # nobody attends to padding
        if near is not None:
            bias = bias + self.bias(near[..., None]).permute(0, 3, 1, 2)
        attended = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        hidden = hidden + self.out(attended.transpose(1, 2).reshape(batch, size, width))
        mixed: Tensor = hidden + self.mix(self.norms[1](hidden))
        return mixed


class _Head(nn.Module):
    """The scores, as they are, or a value of the rest."""

    def __init__(self, actions: int, width: int | None = None) -> None:
        super().__init__()
        self.actions = actions
        self.value = None if width is None else nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        if self.value is None:
            return features[:, : self.actions]
        value: Tensor = self.value(features[:, self.actions :])
        return value


class _Elementwise:
    """Puts the extractor's scores in the place of a policy's last layers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        options = {"features_extractor_class": Scores, "net_arch": [], "ortho_init": False}
        super().__init__(*args, **{**options, **kwargs})

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)  # type: ignore[misc] # of the policy mixed in
        policy: Any = self
        actions = policy.features_extractor.actions
        policy.action_net = _Head(actions)
        policy.value_net = _Head(actions, policy.features_dim - actions)
        policy.optimizer = policy.optimizer_class(policy.parameters(), lr=lr_schedule(1), **policy.optimizer_kwargs)


class ElementPolicy(_Elementwise, MultiInputActorCriticPolicy):
    """For ``PPO(ElementPolicy, env)``."""


class MaskableElementPolicy(_Elementwise, MaskableMultiInputActorCriticPolicy):
    """For ``MaskablePPO(MaskableElementPolicy, env)``."""
