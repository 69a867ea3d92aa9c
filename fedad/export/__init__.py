"""A model as one ONNX graph: a picture's canvas in, its map and score out, held against ours."""
