"""Three species of iris from 4 measurements: a decision tree, small enough to be read.

rowmill models add tree OUT_DIR/tree.joblib --sample OUT_DIR/tree.sample.csv --target species
"""

from __future__ import annotations

from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from training import train


def main() -> None:
    bunch = load_iris(as_frame=True)
    species = bunch.target.map(lambda label: str(bunch.target_names[label])).rename("species")
    model = DecisionTreeClassifier(max_depth=3, random_state=0)
    train(model, bunch.data, species, require="accuracy>=0.85", description=__doc__)


if __name__ == "__main__":
    main()
