"""The training itself in numpy, without a framework: shapes, cost, initial weights, order, pixels."""
