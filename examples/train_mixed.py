"""Numbers and words with gaps: a pipeline with a ColumnTransformer, fitted on a DataFrame.

The data are wine measurements; three of them are told as words, as a form would, and some cells are empty.

rowmill models add mixed OUT_DIR/mixed.joblib --sample OUT_DIR/mixed.sample.csv --target cultivar
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from training import Trained, finish, options

NUMBERS = ["alcohol", "malic_acid", "magnesium", "proline", "bottles"]
WORDS = ["colour", "hue", "taste"]


def mixed_wine() -> pd.DataFrame:
    """178 wines; about one cell in twenty is missing, the same ones every time."""
    bunch = load_wine(as_frame=True)
    wine: pd.DataFrame = bunch.data
    table = wine[["alcohol", "malic_acid", "magnesium", "proline"]].assign(
        bottles=(wine["ash"] * 100).astype(int),
        colour=in_words(wine["color_intensity"], ["pale", "medium", "deep"]),
        hue=in_words(wine["hue"], ["brick", "ruby", "violet"]),
        taste=in_words(wine["flavanoids"], ["light", "rounded", "tannic", "bitter"]),
    )
    gaps = np.random.default_rng(0).random(table.shape) < 0.05
    gaps[:, table.columns.get_loc("bottles")] = False
    return table.mask(gaps).assign(cultivar=bunch.target.map(lambda label: f"cultivar {label + 1}"))


def in_words(values: pd.Series[float], words: list[str]) -> pd.Series[str]:
    """Equally many values for each word, from low to high."""
    return pd.qcut(values, len(words), labels=words).astype(str)


def main() -> None:
    asked = options(__doc__)
    folder = asked.folder
    table = mixed_wine()
    train, test = train_test_split(table, test_size=0.25, random_state=0)
    preparation = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("words", OneHotEncoder(handle_unknown="ignore"), WORDS),
        ]
    )
    model = make_pipeline(preparation, LogisticRegression(max_iter=1000))
    model.fit(train[NUMBERS + WORDS], train["cultivar"])
    table.to_csv(folder / "mixed.sample.csv", index=False)
    test.to_csv(folder / "mixed.holdout.csv", index=False)
    trained = Trained(
        name="mixed",
        model=model,
        metrics={"accuracy": model.score(test[NUMBERS + WORDS], test["cultivar"])},
        held_back=f"{len(test)} rows",
        require="accuracy>=0.85",
        holdout=folder / "mixed.holdout.csv",
        options=["--sample", folder / "mixed.sample.csv", "--target", "cultivar"],
    )
    finish(trained, asked)


if __name__ == "__main__":
    main()
