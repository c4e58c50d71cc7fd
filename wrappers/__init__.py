"""Gymnasium wrappers that change the protocol and leave the problem alone."""

from .construct import Construct
from .human_render import HumanRender
from .improve import Improve
from .record_transcript import RecordTranscript
from .relabel import Relabel
from .skin import Skin, Story, stories

__all__ = ["Construct", "HumanRender", "Improve", "RecordTranscript", "Relabel", "Skin", "Story", "stories"]
