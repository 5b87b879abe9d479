"""Progression of diabetes, a number, from 10 measurements: linear regression behind a scaler.

rowmill models add linear OUT_DIR/linear.joblib --sample OUT_DIR/linear.sample.csv --target progression
"""

from __future__ import annotations

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from training import train


def main() -> None:
    bunch = load_diabetes(as_frame=True, scaled=False)
    progression = bunch.target.rename("progression")
    model = make_pipeline(StandardScaler(), Ridge())
    train(model, bunch.data, progression, require="rmse<=65", description=__doc__)


if __name__ == "__main__":
    main()
