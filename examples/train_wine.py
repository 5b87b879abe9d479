"""Three cultivars of wine from 13 measurements: a random forest fitted on a DataFrame, with string labels.

rowmill models add wine OUT_DIR/wine.joblib --sample OUT_DIR/wine.sample.csv --target cultivar
"""

from __future__ import annotations

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from training import Trained, finish, options


def main() -> None:
    asked = options(__doc__)
    folder = asked.folder
    bunch = load_wine(as_frame=True)
    features = bunch.data
    cultivar = bunch.target.map(lambda label: str(bunch.target_names[label])).rename("cultivar")
    train, test, train_labels, test_labels = train_test_split(
        features, cultivar, test_size=0.25, random_state=0, stratify=cultivar
    )
    model = RandomForestClassifier(n_estimators=100, random_state=0, n_jobs=-1).fit(train, train_labels)
    features.join(cultivar).to_csv(folder / "wine.sample.csv", index=False)
    test.join(test_labels).to_csv(folder / "wine.holdout.csv", index=False)
    trained = Trained(
        name="wine",
        model=model,
        metrics={"accuracy": model.score(test, test_labels)},
        held_back=f"{len(test)} rows",
        require="accuracy>=0.9",
        holdout=folder / "wine.holdout.csv",
        options=["--sample", folder / "wine.sample.csv", "--target", "cultivar"],
        example=train.head(),
    )
    finish(trained, asked)


if __name__ == "__main__":
    main()
