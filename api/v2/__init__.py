"""The Open Inference Protocol, version 2, over HTTP, with binary tensors: what Triton's clients speak."""
