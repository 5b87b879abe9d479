"""BentoML, with two workers."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=2, logging={"access": {"enabled": False}})
class Service:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, features: list[float]) -> list[float]:
        row = np.array(features).reshape(1, -1)
        return self.model.predict_proba(row)[0].tolist()
