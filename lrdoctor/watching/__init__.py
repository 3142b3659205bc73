"""Runs that still go on: what changed is read and judged again, and what is new is told."""
