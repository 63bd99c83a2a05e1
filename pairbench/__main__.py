"""``python -m pairbench`` runs the command line."""

from pairbench.cli.main import console

if __name__ == "__main__":
    console()
