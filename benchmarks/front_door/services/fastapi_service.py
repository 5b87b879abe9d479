"""FastAPI under uvicorn, with its validation by pydantic."""

import os

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(os.environ["MODEL"])
app = FastAPI()


class Row(BaseModel):
    features: list[float]


@app.post("/predict")
async def predict(row: Row):
    features = np.array(row.features).reshape(1, -1)
    return {"probabilities": model.predict_proba(features)[0].tolist()}
