"""The program that ``configs/turns.yaml`` names: several turns per row."""

from forge_gym.adapters.nemo_gym.server import ForgeTurnsServer

if __name__ == "__main__":
    ForgeTurnsServer.run_webserver()
