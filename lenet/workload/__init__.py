"""The training in numpy, without a framework: shapes, FLOPs, initial weights, order, pixels, reference trainer."""
