"""Triton with one tiny model, `image`: a batch of 3x8x8 pixels in, four scores
out, which are the sums of the quarters of the pixels.

usage: triton.py HTTP_PORT GRPC_PORT METRICS_PORT
"""

import sys

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


@batch
def infer(pixels):
    return {"scores": pixels.reshape(len(pixels), 4, -1).sum(axis=2).astype(np.float32)}


def main(http, grpc, metrics):
    here = "127.0.0.1"
    config = TritonConfig(
        http_address=here,
        http_port=http,
        grpc_address=here,
        grpc_port=grpc,
        metrics_address=here,
        metrics_port=metrics,
        allow_gpu_metrics=False,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="image",
            infer_func=infer,
            inputs=[Tensor(name="pixels", dtype=np.float32, shape=(3, 8, 8))],
            outputs=[Tensor(name="scores", dtype=np.float32, shape=(4,))],
            config=ModelConfig(max_batch_size=16),
        )
        triton.serve()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
