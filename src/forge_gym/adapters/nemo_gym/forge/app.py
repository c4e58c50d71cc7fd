"""The program that ``configs/forge.yaml`` names: one reply per row."""

from forge_gym.adapters.nemo_gym.server import ForgeServer

if __name__ == "__main__":
    ForgeServer.run_webserver()
