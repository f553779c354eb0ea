"""predict.py SQUARE_METRES ROOMS: says what a flat costs, by the model that the build trained."""

import json
import pathlib
import sys

model = json.loads((pathlib.Path(__file__).parent / "model.json").read_text())
size, rooms = map(float, sys.argv[1:])
price = model["square_metres"] * size + model["rooms"] * rooms + model["base"]
print(f"about {price:.0f} thousand")
