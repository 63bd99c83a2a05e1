"""How fast could it be? What this machine does at best, and the lower bound that this sets on the time of a call."""
