"""Write the resources server into the folder of a NeMo Gym project and say where it is."""

from argparse import ArgumentParser

from . import write_server

if __name__ == "__main__":
    parser = ArgumentParser("python -m forge_gym.adapters.nemo_gym", description=__doc__)
    parser.add_argument("folder", nargs="?", default=".", help="by default the working folder")
    try:
        print(f"wrote {write_server(parser.parse_args().folder).resolve()}")
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
