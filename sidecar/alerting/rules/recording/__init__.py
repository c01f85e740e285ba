"""Recording rules, a subject a file: drift, canaries, service levels and the quality of predictions."""
