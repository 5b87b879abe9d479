"""Progression of diabetes after a year, a number, from 10 measurements: histogram gradient boosting.

rowmill models add diabetes OUT_DIR/diabetes.joblib --sample OUT_DIR/diabetes.sample.csv --target progression
"""

from __future__ import annotations

from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split
from training import Trained, finish, options


def main() -> None:
    asked = options(__doc__)
    folder = asked.folder
    bunch = load_diabetes(as_frame=True, scaled=False)
    progression = bunch.target.rename("progression")
    train, test, train_values, test_values = train_test_split(
        bunch.data, progression, test_size=0.25, random_state=0
    )
    model = HistGradientBoostingRegressor(max_iter=100, learning_rate=0.05, random_state=0)
    model.fit(train, train_values)
    bunch.data.join(progression).to_csv(folder / "diabetes.sample.csv", index=False)
    test.join(test_values).to_csv(folder / "diabetes.holdout.csv", index=False)
    trained = Trained(
        name="diabetes",
        model=model,
        metrics={"R2": model.score(test, test_values)},
        held_back=f"{len(test)} rows",
        require="rmse<=65",
        holdout=folder / "diabetes.holdout.csv",
        options=["--sample", folder / "diabetes.sample.csv", "--target", "progression"],
        example=train.head(),
    )
    finish(trained, asked)


if __name__ == "__main__":
    main()
