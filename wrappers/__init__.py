"""Gymnasium wrappers that change the protocol and leave the problem alone."""

from .record_transcript import RecordTranscript

__all__ = ["RecordTranscript"]
