"""What was predicted, and what turned out to be true: the log of single predictions, labels, accuracy.

How a prediction is made is no affair of these files, nor is a request.
"""
