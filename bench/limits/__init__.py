"""How fast could it be? What this machine does at best, and the time that a call must take at least."""
