"""LitServe, with one worker a core."""

import os
import sys

import joblib
import litserve
import numpy as np


class Service(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request):
        return np.array(request["features"]).reshape(1, -1)

    def predict(self, features):
        return self.model.predict_proba(features)

    def encode_response(self, probabilities):
        return {"probabilities": probabilities[0].tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Service(), accelerator="cpu", workers_per_device=2)
    server.run(port=int(sys.argv[1]), log_level="error", generate_client_file=False)
