"""Evaluation of agents, its statistics, and the command line."""
