"""How time grows with width, depth and batch, and where one backend overtakes another."""
