"""Benign or malignant from 30 measurements: a scaled logistic regression fitted on a plain array.

The array has no column names; the sample gives them, in the order of the array.

rowmill models add breast-cancer OUT_DIR/breast_cancer.joblib --sample OUT_DIR/breast_cancer.sample.csv \
    --target diagnosis --labels 0=malignant,1=benign
"""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from training import Trained, finish, options


def main() -> None:
    asked = options(__doc__)
    folder = asked.folder
    bunch = load_breast_cancer(as_frame=True)
    features = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))
    table = features.assign(diagnosis=bunch.target)
    train, test = train_test_split(table, test_size=0.25, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(train[features.columns].to_numpy(), train["diagnosis"].to_numpy())
    sample, holdout = folder / "breast_cancer.sample.csv", folder / "breast_cancer.holdout.csv"
    table.to_csv(sample, index=False)
    test.to_csv(holdout, index=False)
    accuracy = model.score(test[features.columns].to_numpy(), test["diagnosis"].to_numpy())
    trained = Trained(
        name="breast_cancer",
        model=model,
        metrics={"accuracy": accuracy},
        held_back=f"{len(test)} rows",
        require="roc_auc>=0.95",
        holdout=holdout,
        options=["--sample", sample, "--target", "diagnosis", "--labels", "0=malignant,1=benign"],
    )
    finish(trained, asked)


if __name__ == "__main__":
    main()
