"""What draws instances and solutions: one class for each way to look at a problem, and what they share.

A picture places the elements of an instance alike whatever the solution, so that two solutions can be compared.
"""
