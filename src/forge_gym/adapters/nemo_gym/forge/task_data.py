"""The schema of the rows; NeMo Gym's data tools read it without forge-gym."""

from pydantic import BaseModel, ConfigDict, Field


class TaskData(BaseModel):
    """What a row has beside ``responses_create_params``."""

    model_config = ConfigDict(extra="allow")

    spec: str = Field(
        description="Rebuilds problem and instance; see forge_gym.from_spec.",
        json_schema_extra={"consumed_by": ["verify"]},
    )
    problem: str | None = Field(default=None, description="Name of the problem.")
    level: int | None = Field(default=None, description="Difficulty; -1 for the problem's own parameters.")
