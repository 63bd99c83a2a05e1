"""The command line of pairbench."""
