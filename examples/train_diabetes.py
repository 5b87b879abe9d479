"""Progression of diabetes after a year, a number, from 10 measurements: histogram gradient boosting.

rowmill models add diabetes OUT_DIR/diabetes.joblib --sample OUT_DIR/diabetes.sample.csv --target progression
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    bunch = load_diabetes(as_frame=True, scaled=False)
    progression = bunch.target.rename("progression")
    train, test, train_values, test_values = train_test_split(
        bunch.data, progression, test_size=0.25, random_state=0
    )
    model = HistGradientBoostingRegressor(max_iter=100, learning_rate=0.05, random_state=0)
    model.fit(train, train_values)
    joblib.dump(model, folder / "diabetes.joblib")
    bunch.data.join(progression).to_csv(folder / "diabetes.sample.csv", index=False)
    print(f"diabetes: R2 {model.score(test, test_values):.3f} on {len(test)} rows held back")


if __name__ == "__main__":
    main()
