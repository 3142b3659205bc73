"""What a resume needs: the scheduler's exact state at a checkpoint, and a copy of the checkpoint that carries it."""
