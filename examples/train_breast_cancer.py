"""Benign or malignant from 30 measurements: a scaled logistic regression fitted on a plain array.

The array has no column names; the sample gives them, in the order of the array.

rowmill models add breast-cancer OUT_DIR/breast_cancer.joblib --sample OUT_DIR/breast_cancer.sample.csv \
    --target diagnosis --labels 0=malignant,1=benign
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    bunch = load_breast_cancer(as_frame=True)
    features = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))
    train, test, train_labels, test_labels = train_test_split(
        features.to_numpy(), bunch.target.to_numpy(), test_size=0.25, random_state=0
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train, train_labels)
    joblib.dump(model, folder / "breast_cancer.joblib")
    features.assign(diagnosis=bunch.target).to_csv(folder / "breast_cancer.sample.csv", index=False)
    print(f"breast_cancer: accuracy {model.score(test, test_labels):.3f} on {len(test)} rows held back")


if __name__ == "__main__":
    main()
