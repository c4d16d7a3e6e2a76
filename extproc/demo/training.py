"""Trains the demo's three classifiers on the iris data set and writes each as a folder that MLServer serves.

    python training.py FOLDER

Beside the models lies `rows.json`: the rows that no classifier has seen, with their species, to ask them about. This
file also runs by itself inside MLServer's container image, so it imports nothing of extproc.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

HELD_OUT: Final = 90  # rows of 150
SEED: Final = 42


def train(folder: Path) -> None:
    """Write `<folder>/<model>/` for each model, and `<folder>/rows.json`; existing files are replaced."""
    rows, species = load_iris(return_X_y=True)
    seen, unseen, seen_species, unseen_species = train_test_split(
        rows, species, test_size=HELD_OUT, random_state=SEED, stratify=species
    )
    classifiers: dict[tuple[str, str], Any] = {
        ("iris", "iris"): DecisionTreeClassifier(max_depth=2, random_state=SEED),
        ("iris2", "iris-v2"): LogisticRegression(max_iter=1000, random_state=SEED),
        ("iris3", "iris3"): SVC(C=10, random_state=SEED),
    }
    for (model, served_name), classifier in classifiers.items():
        home = folder / model
        home.mkdir(parents=True, exist_ok=True)
        joblib.dump(classifier.fit(seen, seen_species), home / "model.joblib")
        settings = {
            "name": served_name,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib"},
        }
        (home / "model-settings.json").write_text(json.dumps(settings, indent=2) + "\n")
    held_out = [
        {"row": [float(value) for value in row], "species": int(number)}
        for row, number in zip(unseen, unseen_species, strict=True)
    ]
    (folder / "rows.json").write_text(json.dumps(held_out) + "\n")


if __name__ == "__main__":
    train(Path(sys.argv[1]))
