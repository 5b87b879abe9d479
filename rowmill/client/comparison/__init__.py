"""Two results of one input side by side: what changed from one model version to another.

It reads both Parquet files in step, a batch at a time, and keeps counts only: files of any size compare in
the same memory. `sketch` counts numbers for quantiles, `answers` knows what the models answer, `labels` makes
labels of different types alike, `truth` reads the true ones; `agreement`, `scores` and `metrics` each count
one thing; `tallies` puts them together for one target, `report` for all.
"""
