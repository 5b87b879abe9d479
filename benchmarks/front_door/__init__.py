"""Single rows over HTTP: Rowmill against the servers that people use for it, and beside a large job."""
