"""The mood of a short text: negative, neutral or positive. Cleaning, TF-IDF, logistic regression.

The 300 texts in sentiment.csv were written for this example: short messages, product reviews and mails to a
service, a hundred of each mood.

rowmill models add sentiment OUT_DIR/sentiment.joblib --sample OUT_DIR/sentiment.sample.csv \
    --target sentiment --code examples/sentiment_cleaning.py
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
from sentiment_cleaning import cleaned
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from training import Trained, finish, options

DATA = Path(__file__).with_name("sentiment.csv")
CODE = Path(__file__).with_name("sentiment_cleaning.py")
# Words, and each emoji as a word of its own.
WORDS = r"\w\w+|[^\w\s]"


def untrained() -> Pipeline:
    """The pipeline as it is fitted: it takes texts as they were written."""
    return make_pipeline(
        FunctionTransformer(cleaned),
        TfidfVectorizer(token_pattern=WORDS, sublinear_tf=True),
        LogisticRegression(max_iter=1000),
    )


def main() -> None:
    asked = options(__doc__)
    folder = asked.folder
    texts = pd.read_csv(DATA)
    train, test = train_test_split(texts, test_size=0.25, random_state=0, stratify=texts["sentiment"])
    model = untrained().fit(train["text"], train["sentiment"])
    shutil.copyfile(DATA, folder / "sentiment.sample.csv")
    test.to_csv(folder / "sentiment.holdout.csv", index=False)
    # 75 texts are few: another quarter held back gives another figure, so all texts take their turns too
    turns = RepeatedStratifiedKFold(n_splits=4, n_repeats=3, random_state=0)
    every = cross_val_score(untrained(), texts["text"], texts["sentiment"], cv=turns)
    trained = Trained(
        name="sentiment",
        model=model,
        metrics={"accuracy": model.score(test["text"], test["sentiment"])},
        held_back=f"{len(test)} texts",
        note=f"; {every.mean():.3f} on average over {len(every)} ways to hold back a quarter",
        require="f1_macro>=0.6",
        holdout=folder / "sentiment.holdout.csv",
        options=["--sample", folder / "sentiment.sample.csv", "--target", "sentiment", "--code", CODE],
    )
    finish(trained, asked)


if __name__ == "__main__":
    main()
