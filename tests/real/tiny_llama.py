"""Writes a llama model that is tiny (1 MB), random, and always the same.

Two layers of width 64, a vocabulary of bytes and made-up words. Its answers
mean nothing, but they are text: what would be a byte or a special token has
logit 0, below the 40 best, so that no answer holds half a character or ends
before its limit.

usage: tiny_llama.py FILE.gguf
"""

import itertools
import sys

import gguf
import numpy as np

LAYERS, WIDTH, HEADS, FEED_FORWARD, CONTEXT = 2, 64, 4, 128, 2048

CHAT = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)


def vocabulary():
    """Pieces with their kinds: three special ones, 256 bytes, letters, 480 words."""
    kind = gguf.TokenType
    yield "<unk>", kind.UNKNOWN
    yield "<s>", kind.CONTROL
    yield "</s>", kind.CONTROL
    for byte in range(256):
        yield f"<0x{byte:02X}>", kind.BYTE
    yield "\u2581", kind.NORMAL
    for letter in "abcdefghijklmnopqrstuvwxyz":
        yield letter, kind.NORMAL
    for a, b, c, d in itertools.product("bdklmnrs", "aeiou", "tn", "aeiouy"):
        yield f"\u2581{a}{b}{c}{d}", kind.NORMAL


def main(path):
    pieces = list(vocabulary())
    words = np.array([piece.startswith("\u2581") and len(piece) > 1 for piece, _ in pieces])
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([piece for piece, _ in pieces])
    # Longer pieces first, as a trained vocabulary would have it.
    writer.add_token_scores([float(len(piece)) for piece, _ in pieces])
    writer.add_token_types([kind for _, kind in pieces])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT)

    random = np.random.default_rng(1)

    def tensor(name, *shape, scale=1.0):
        values = random.standard_normal(shape) * scale / np.sqrt(shape[-1])
        writer.add_tensor(name, values.astype(np.float32))

    def ones(name):
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))

    tensor("token_embd.weight", len(pieces), WIDTH, scale=np.sqrt(WIDTH))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        ones(f"{block}.attn_norm.weight")
        ones(f"{block}.ffn_norm.weight")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"{block}.{part}.weight", WIDTH, WIDTH)
        tensor(f"{block}.ffn_gate.weight", FEED_FORWARD, WIDTH)
        tensor(f"{block}.ffn_up.weight", FEED_FORWARD, WIDTH)
        tensor(f"{block}.ffn_down.weight", WIDTH, FEED_FORWARD)
    ones("output_norm.weight")
    output = random.standard_normal((len(pieces), WIDTH)) / np.sqrt(WIDTH) * 4
    output[~words] = 0
    writer.add_tensor("output.weight", output.astype(np.float32))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
