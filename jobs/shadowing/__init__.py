"""Challengers that score copies of single predictions: ``offering`` in the API, ``scoring`` beside it.

In a process apart, because a challenger in the API's own would share its one interpreter: each of its rows
would stand in the way of somebody's answer, however low the thread's priority.
"""
