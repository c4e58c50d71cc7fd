"""Algorithms behind references and heuristics: plain data in, a solution with a bound out; they know no problem."""
