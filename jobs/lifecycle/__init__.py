"""Every write to a job, a chunk or an input: guarded UPDATEs that name the state they expect to find.

Zero rows updated is a normal outcome (somebody else was first, or the job ended) and comes back as None,
False or ``LostLease``. Workers lock the job first, its chunk second, so that no two deadlock.
"""
