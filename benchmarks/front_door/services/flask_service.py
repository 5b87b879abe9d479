"""The tutorial: Flask under gunicorn, the whole of it."""

import os

import joblib
import numpy as np
from flask import Flask, jsonify, request

model = joblib.load(os.environ["MODEL"])
app = Flask(__name__)


@app.post("/predict")
def predict():
    features = np.array(request.get_json()["features"]).reshape(1, -1)
    return jsonify(probabilities=model.predict_proba(features)[0].tolist())
