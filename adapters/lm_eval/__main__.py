"""Print the folder of the task files."""

from . import FOLDER

print(FOLDER)
