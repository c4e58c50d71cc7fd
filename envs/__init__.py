"""The problems: one file each, and one row here."""

PROBLEMS = {
    "BalancedMinCut": "forge_gym.envs.balanced_min_cut:BalancedMinCut",
    "GraphColoring": "forge_gym.envs.graph_coloring:GraphColoring",
    "Knapsack": "forge_gym.envs.knapsack:Knapsack",
    "TSP": "forge_gym.envs.tsp:TSP",
}
"""Name to ``module:class``; the class is imported when the problem is first asked for."""
