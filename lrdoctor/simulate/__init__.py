"""Re-simulation of a fixed schedule: its learning rate by torch itself, its loss by a law fitted to the run.

The only package that imports torch (and numba and Triton), in functions or in modules that functions import. Importing
it is cheap.
"""
