"""The problems: one file each, and one row here."""

PROBLEMS = {
    "forge_gym.envs.balanced_min_cut:BalancedMinCut": 0,
    "forge_gym.envs.exact_subset_sum:ExactSubsetSum": 0,
    "forge_gym.envs.graph_coloring:GraphColoring": 0,
    "forge_gym.envs.hamiltonian_cycle:HamiltonianCycle": 0,
    "forge_gym.envs.knapsack:Knapsack": 0,
    "forge_gym.envs.max_clique:MaxClique": 0,
    "forge_gym.envs.max_independent_set:MaxIndependentSet": 0,
    "forge_gym.envs.meeting_scheduling:MeetingScheduling": 0,
    "forge_gym.envs.set_cover:SetCover": 0,
    "forge_gym.envs.subset_sum:SubsetSum": 0,
    "forge_gym.envs.tsp:TSP": 0,
}
"""``module:class`` of each problem, imported when it is first asked for, and the version that the class states."""
