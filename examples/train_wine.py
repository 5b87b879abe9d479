"""Three cultivars of wine from 13 measurements: a random forest fitted on a DataFrame, with string labels.

rowmill models add wine OUT_DIR/wine.joblib --sample OUT_DIR/wine.sample.csv --target cultivar
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    bunch = load_wine(as_frame=True)
    features = bunch.data
    cultivar = bunch.target.map(lambda label: str(bunch.target_names[label])).rename("cultivar")
    train, test, train_labels, test_labels = train_test_split(
        features, cultivar, test_size=0.25, random_state=0, stratify=cultivar
    )
    model = RandomForestClassifier(n_estimators=100, random_state=0, n_jobs=-1).fit(train, train_labels)
    joblib.dump(model, folder / "wine.joblib")
    features.join(cultivar).to_csv(folder / "wine.sample.csv", index=False)
    print(f"wine: accuracy {model.score(test, test_labels):.3f} on {len(test)} rows held back")


if __name__ == "__main__":
    main()
