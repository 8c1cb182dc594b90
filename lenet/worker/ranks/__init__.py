"""Data parallel: several processes (ranks), each on a device of its own, train one case together.

The worker of such a case starts MindSpore's launcher `msrun`, which starts the ranks and a scheduler. Each rank runs
the code of a single-process worker on its share of every batch and reports over a socket; the worker merges the
reports into the one stream of events that the engine reads.

    engine <- events - worker (lenet.worker.ranks.launch) <- lines - rank 0 (lenet.worker.ranks.process)
                                                          <- lines - rank 1
                                                          <-         scheduler: reports nothing, ends with the worker
"""

SOCKET = "ranks.sock"
"""The worker's socket, in the folder in which it and its ranks run."""

ASSIGNMENT = "assignment.json"
"""The `RankAssignment`, in the same folder."""
