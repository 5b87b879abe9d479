"""Measures Rowmill against two baselines of its own, interleaved: see README.md beside this file.

Nothing of the product imports this package, and no figure in here is a test.
"""
