"""Writes flats with their size, rooms and price: the data a real build would fetch."""

import argparse
import random

parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int, required=True)
parser.add_argument("output")
arguments = parser.parse_args()

chance = random.Random(42)
with open(arguments.output, "w") as output:
    print("square_metres,rooms,price", file=output)
    for _ in range(arguments.rows):
        size, rooms = chance.uniform(20, 200), chance.randint(1, 8)
        print(f"{size:.2f},{rooms},{3 * size + 10 * rooms + 50 + chance.gauss(0, 5):.2f}", file=output)
