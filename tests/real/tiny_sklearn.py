"""Writes a model repository for MLServer with one tiny classifier, `iris`:
four features in, one of three classes out.

usage: tiny_sklearn.py DIR
"""

import json
import pathlib
import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


def main(root):
    folder = pathlib.Path(root) / "iris"
    folder.mkdir(parents=True, exist_ok=True)
    features, classes = load_iris(return_X_y=True)
    joblib.dump(LogisticRegression(max_iter=1000).fit(features, classes), folder / "model.joblib")
    settings = {
        "name": "iris",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": "v1"},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))
    # In one process: it has to die with whoever started it.
    (folder.parent / "settings.json").write_text(json.dumps({"parallel_workers": 0}))


if __name__ == "__main__":
    main(sys.argv[1])
