"""One kind of synthetic defect a file: a good image -> the image with a defect, and where it is."""
