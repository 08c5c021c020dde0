"""Writes a random llama model in f16: 0.78 billion parameters, 1.6 GB, in some seconds.

As tests/real/tiny_llama.py, only bigger: its answers are words that mean
nothing. What is no whole word has logit 0, below the best, so that no answer
holds half a character or ends before its limit. The words of Firedrill's
synthetic prompts are tokens, so that a prompt of 100 words has about 100 tokens.

usage: model.py FILE.gguf [LAYERS WIDTH FEED_FORWARD HEADS KV_HEADS]
"""

import itertools
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np

LAYERS, WIDTH, FEED_FORWARD, HEADS, KV_HEADS = [int(a) for a in sys.argv[2:]] or (16, 2048, 5632, 16, 8)
HEAD = WIDTH // HEADS
CONTEXT = 8192

CHAT = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)
PROMPTS = """a age air all and arm art as at back ball bank bath bear bed bell big bird blue boat body book box boy bread bus by
cake call can car cat city cold cook corn cow cup dark day deep dog door down dry ear east egg end eye face fall far farm fast
fire fish five food foot for four free full game gate girl go gold good green hair hand hat head help hill home horse hot house
ice in iron is it king lake land last leaf left leg life light line long low make man map milk moon name near new north of old
on open park rain red ring river road room salt sea ship snow song star sun the tree wind""".split()


def vocabulary():
    """Pieces with their kinds, and whether an answer may have them."""
    kind = gguf.TokenType
    yield "<unk>", kind.UNKNOWN, False
    yield "<s>", kind.CONTROL, False
    yield "</s>", kind.CONTROL, False
    for byte in range(256):
        yield f"<0x{byte:02X}>", kind.BYTE, False
    yield "\u2581", kind.NORMAL, False
    for letter in "abcdefghijklmnopqrstuvwxyz":
        yield letter, kind.NORMAL, False
    words = ["".join(w) for w in itertools.product("bdfgjklmnprstvz", "aeiou", "bdgklmnrt", "aeiouy")]
    # A word is put together from its left: each beginning has to be a piece.
    whole = dict.fromkeys(PROMPTS + words)
    beginnings = dict.fromkeys(w[:n] for w in whole for n in range(1, len(w)))
    for word in itertools.chain(whole, (b for b in beginnings if b not in whole)):
        yield f"\u2581{word}", kind.NORMAL, word in whole


def main(path):
    began = time.monotonic()
    pieces = list(vocabulary())
    words = np.array([word for _, _, word in pieces])
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random")
    writer.add_vocab_size(len(pieces))
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([piece for piece, _, _ in pieces])
    writer.add_token_scores([float(len(piece)) for piece, _, _ in pieces])
    writer.add_token_types([kind for _, kind, _ in pieces])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT)

    wanted = [("token_embd.weight", (len(pieces), WIDTH), np.sqrt(WIDTH)), ("output.weight", (len(pieces), WIDTH), 4.0)]
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        wanted += [
            (f"{block}.attn_q.weight", (HEADS * HEAD, WIDTH), 1.0),
            (f"{block}.attn_k.weight", (KV_HEADS * HEAD, WIDTH), 1.0),
            (f"{block}.attn_v.weight", (KV_HEADS * HEAD, WIDTH), 1.0),
            (f"{block}.attn_output.weight", (WIDTH, HEADS * HEAD), 1.0),
            (f"{block}.ffn_gate.weight", (FEED_FORWARD, WIDTH), 1.0),
            (f"{block}.ffn_up.weight", (FEED_FORWARD, WIDTH), 1.0),
            (f"{block}.ffn_down.weight", (WIDTH, FEED_FORWARD), 1.0),
        ]

    def random(numbered):
        number, (name, shape, scale) = numbered
        values = np.random.Generator(np.random.SFC64(number + 1)).standard_normal(shape, dtype=np.float32)
        values *= np.float32(scale / np.sqrt(shape[-1]))
        if name == "output.weight":
            values[~words] = 0
        return name, values.astype(np.float16)

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        total = 0
        for name, values in pool.map(random, enumerate(wanted)):
            writer.add_tensor(name, values)
            total += values.size
    for name in ["output_norm"] + [f"blk.{layer}.{part}_norm" for layer in range(LAYERS) for part in ("attn", "ffn")]:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, dtype=np.float32))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    size = os.path.getsize(path)
    print(f"{path}: {total / 1e9:.2f} billion parameters, {len(pieces)} pieces, {size / 1e9:.2f} GB, {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1])
