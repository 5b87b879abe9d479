"""The mood of a short text: negative, neutral or positive. Cleaning, TF-IDF, logistic regression.

The 300 texts in sentiment.csv were written for this example: short messages, product reviews and mails to a
service, a hundred of each mood.

rowmill models add sentiment OUT_DIR/sentiment.joblib --sample OUT_DIR/sentiment.sample.csv \
    --target sentiment --code examples/sentiment_cleaning.py
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import joblib
import pandas as pd
from sentiment_cleaning import cleaned
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

DATA = Path(__file__).with_name("sentiment.csv")
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
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    texts = pd.read_csv(DATA)
    train, test = train_test_split(texts, test_size=0.25, random_state=0, stratify=texts["sentiment"])
    model = untrained().fit(train["text"], train["sentiment"])
    joblib.dump(model, folder / "sentiment.joblib")
    shutil.copyfile(DATA, folder / "sentiment.sample.csv")
    accuracy = model.score(test["text"], test["sentiment"])
    # 75 texts are few: another quarter held back gives another figure, so all texts take their turns too
    turns = RepeatedStratifiedKFold(n_splits=4, n_repeats=3, random_state=0)
    every = cross_val_score(untrained(), texts["text"], texts["sentiment"], cv=turns)
    print(
        f"sentiment: accuracy {accuracy:.3f} on {len(test)} texts held back; "
        f"{every.mean():.3f} on average over {len(every)} ways to hold back a quarter"
    )


if __name__ == "__main__":
    main()
