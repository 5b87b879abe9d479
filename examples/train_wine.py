"""Three cultivars of wine from 13 measurements: a random forest fitted on a DataFrame, with string labels.

rowmill models add wine OUT_DIR/wine.joblib --sample OUT_DIR/wine.sample.csv --target cultivar
"""

from __future__ import annotations

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from training import train


def main() -> None:
    bunch = load_wine(as_frame=True)
    cultivar = bunch.target.map(lambda label: str(bunch.target_names[label])).rename("cultivar")
    model = RandomForestClassifier(n_estimators=100, random_state=0, n_jobs=-1)
    train(model, bunch.data, cultivar, require="accuracy>=0.9", description=__doc__)


if __name__ == "__main__":
    main()
