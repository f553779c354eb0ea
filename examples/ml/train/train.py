"""Fits price = a·size + b·rooms + c by least squares (normal equations, Gauss elimination) and writes the model."""

import csv
import json
import sys


def fit(rows):
    width = 3
    matrix = [[0.0] * (width + 1) for _ in range(width)]
    for size, rooms, price in rows:
        features = (size, rooms, 1.0)
        for i in range(width):
            for j in range(width):
                matrix[i][j] += features[i] * features[j]
            matrix[i][width] += features[i] * price
    for i in range(width):
        matrix[i] = [value / matrix[i][i] for value in matrix[i]]
        for other in range(width):
            if other != i:
                factor = matrix[other][i]
                matrix[other] = [a - factor * b for a, b in zip(matrix[other], matrix[i])]
    return [row[width] for row in matrix]


source, target = sys.argv[1:]
with open(source) as data:
    weights = fit(tuple(map(float, row.values())) for row in csv.DictReader(data))
with open(target, "w") as model:
    json.dump(dict(zip(("square_metres", "rooms", "base"), weights)), model)
