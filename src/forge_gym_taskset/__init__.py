"""What verifiers imports for the taskset id ``forge_gym_taskset``: it looks among top-level packages only."""

try:
    from forge_gym.adapters.verifiers import ForgeEnv, ForgeTaskset
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'forge_gym_taskset needs {error.name}: pip install "forge-gym[verifiers]"', name=error.name
    ) from None

__all__ = ["ForgeEnv", "ForgeTaskset"]
