"""Benign or malignant from 30 measurements: gradient boosting.

rowmill models add boosting OUT_DIR/boosting.joblib --sample OUT_DIR/boosting.sample.csv --target diagnosis
"""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from training import train


def main() -> None:
    bunch = load_breast_cancer(as_frame=True)
    diagnosis = bunch.target.map({0: "malignant", 1: "benign"}).rename("diagnosis")
    model = GradientBoostingClassifier(random_state=0)
    train(model, bunch.data, diagnosis, require="roc_auc>=0.95", description=__doc__)


if __name__ == "__main__":
    main()
