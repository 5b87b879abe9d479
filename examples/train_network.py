"""Benign or malignant from 30 measurements: a multilayer perceptron behind an imputer and a scaler.

One measurement in fifty is missing, as in data that people have entered.

rowmill models add network OUT_DIR/network.joblib --sample OUT_DIR/network.sample.csv --target diagnosis
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from training import train


def main() -> None:
    bunch = load_breast_cancer(as_frame=True)
    diagnosis = bunch.target.map({0: "malignant", 1: "benign"}).rename("diagnosis")
    rows = bunch.data.mask(np.random.default_rng(0).random(bunch.data.shape) < 0.02)
    network = MLPClassifier((32, 16), max_iter=1000, alpha=1.0, random_state=0)
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), network)
    train(model, rows, diagnosis, require="roc_auc>=0.95", description=__doc__)


if __name__ == "__main__":
    main()
