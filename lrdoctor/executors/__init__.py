"""Where work is done: in the processes of this machine or on a cluster, both behind `concurrent.futures.Executor`."""
