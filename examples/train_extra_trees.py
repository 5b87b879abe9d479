"""Three cultivars of wine from 13 measurements: extra trees.

rowmill models add extra-trees OUT_DIR/extra_trees.joblib --sample OUT_DIR/extra_trees.sample.csv \
    --target cultivar
"""

from __future__ import annotations

from sklearn.datasets import load_wine
from sklearn.ensemble import ExtraTreesClassifier
from training import train


def main() -> None:
    bunch = load_wine(as_frame=True)
    cultivar = bunch.target.map(lambda label: str(bunch.target_names[label])).rename("cultivar")
    model = ExtraTreesClassifier(n_estimators=100, random_state=0)
    train(model, bunch.data, cultivar, require="accuracy>=0.9", description=__doc__)


if __name__ == "__main__":
    main()
