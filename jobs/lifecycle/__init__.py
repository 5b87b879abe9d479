"""Every write to a job, a chunk or an input: guarded UPDATEs that name the state they expect to find.

Zero rows updated is a normal outcome (somebody else was first, or the job ended) and comes back as None,
False or ``LostLease``. Rows are locked job first, chunk second, so that two writers never block each other.
"""
