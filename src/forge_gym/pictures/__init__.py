"""What draws instances and solutions: a class for each way to look at a problem, and what these classes share.

A picture places the elements of an instance alike whatever the solution, so that two solutions can be compared.
Nothing here knows a problem or a kind: pictures look at the fields of instances and at solutions as plain data.
"""
