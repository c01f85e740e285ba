"""`make demo`: a real model on real flights, watched by a real sidecar."""

import os

# Requests of a few flights gain nothing from more threads, which wait for each other where cores are busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")
