"""What verifiers imports for the taskset id ``forge_gym_taskset``: it looks among top-level packages only."""

from forge_gym.adapters.verifiers import ForgeEnv, ForgeTaskset

__all__ = ["ForgeEnv", "ForgeTaskset"]
