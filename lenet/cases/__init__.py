"""What is measured: cases, their axes, and the matrices that span them."""
