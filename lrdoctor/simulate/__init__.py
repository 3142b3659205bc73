"""Re-simulation of a fixed schedule: its learning rate by torch itself, its loss by a law fitted to the run.

The only package that imports torch, and only inside the functions that need it. Importing it is cheap.
"""
