"""Write the harness's task files into a folder and say where it is."""

from argparse import ArgumentParser

from .tasks import write_tasks

if __name__ == "__main__":
    parser = ArgumentParser("python -m forge_gym.adapters.lm_eval", description=__doc__)
    parser.add_argument("folder", help="made when missing; files of the same names are written anew")
    print(f"wrote {write_tasks(parser.parse_args().folder).resolve()}")
