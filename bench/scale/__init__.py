"""The growth of time with width, depth and batch size, and the crossovers between backends."""
