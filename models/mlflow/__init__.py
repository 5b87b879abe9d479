"""Models that were logged with MLflow: their folders, which need no MLflow to be read, and its servers."""
