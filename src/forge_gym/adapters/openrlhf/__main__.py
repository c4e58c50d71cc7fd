"""Print the path of a file that OpenRLHF loads."""

from argparse import ArgumentParser
from pathlib import Path

if __name__ == "__main__":
    parser = ArgumentParser("python -m forge_gym.adapters.openrlhf", description=__doc__)
    parser.add_argument(
        "file", choices=["reward", "agent"], help="for --reward.remote_url, or for --train.agent_func_path"
    )
    print(Path(__file__).with_name(f"{parser.parse_args().file}.py"))
