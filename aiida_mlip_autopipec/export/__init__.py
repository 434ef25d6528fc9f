"""A potential and its dataset in the forms that other programs read, and whom to cite."""
