"""Gymnasium wrappers that change the protocol and leave the problem alone."""
