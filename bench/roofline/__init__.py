"""The roofline: the measured limits of the machine, and the lower bounds that they set on the time of a call."""
