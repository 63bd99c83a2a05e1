"""The course of each speedup over the stored runs, the commits at which it changed, and results of other programs."""
