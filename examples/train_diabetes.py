"""Progression of diabetes after a year, a number, from 10 measurements: histogram gradient boosting.

rowmill models add diabetes OUT_DIR/diabetes.joblib --sample OUT_DIR/diabetes.sample.csv --target progression
"""

from __future__ import annotations

from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from training import train


def main() -> None:
    bunch = load_diabetes(as_frame=True, scaled=False)
    progression = bunch.target.rename("progression")
    model = HistGradientBoostingRegressor(max_iter=100, learning_rate=0.05, random_state=0)
    train(model, bunch.data, progression, require="rmse<=65", description=__doc__)


if __name__ == "__main__":
    main()
