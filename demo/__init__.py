"""`make demo`: a real model on real flights, watched by a real sidecar."""
