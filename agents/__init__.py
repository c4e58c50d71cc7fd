"""Agents: text in, text out."""
