"""The problems: one file each, and one row here."""

PROBLEMS = {
    "BalancedMinCut": "forge_gym.envs.balanced_min_cut:BalancedMinCut",
    "GraphColoring": "forge_gym.envs.graph_coloring:GraphColoring",
    "HamiltonianCycle": "forge_gym.envs.hamiltonian_cycle:HamiltonianCycle",
    "Knapsack": "forge_gym.envs.knapsack:Knapsack",
    "MaxClique": "forge_gym.envs.max_clique:MaxClique",
    "MaxIndependentSet": "forge_gym.envs.max_independent_set:MaxIndependentSet",
    "MeetingScheduling": "forge_gym.envs.meeting_scheduling:MeetingScheduling",
    "SetCover": "forge_gym.envs.set_cover:SetCover",
    "SubsetSum": "forge_gym.envs.subset_sum:SubsetSum",
    "TSP": "forge_gym.envs.tsp:TSP",
}
"""Name to ``module:class``; the class is imported when the problem is first asked for."""
