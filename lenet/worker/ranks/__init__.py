"""Data parallel: one case carried out by several processes (ranks), each on a device of its own.

The worker of such a case starts MindSpore's own launcher, `msrun`, which starts the ranks and a scheduler. Each rank
runs the same code as the worker of a case of one process, on its share of every batch, and reports over a socket;
the worker merges what the ranks report into the one stream of events that the engine knows.

    engine <- events - worker (lenet.worker.ranks.launch) <- lines - rank 0 (lenet.worker.ranks.process)
                                                   <- lines - rank 1
                                                   <-         scheduler: nothing, it only must end with the worker
"""

SOCKET = "ranks.sock"
"""The worker's socket, in the folder in which it and its ranks run."""

ASSIGNMENT = "assignment.json"
"""The case, in the same folder."""
