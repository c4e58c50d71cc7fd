"""Instances in files: the rows of data sets."""
