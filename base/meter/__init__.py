"""Counts and times of requests, added up over all processes of one API on one host.

Each process writes into a file of its own in shared memory; whoever asks adds the files up. What is measured,
and under which names, is up to ``api/metering.py``.
"""
