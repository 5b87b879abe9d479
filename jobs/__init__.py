"""What a batch job is: how one is accepted, cut into chunks, scored, finished and read."""
