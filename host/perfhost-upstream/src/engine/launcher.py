"""Runs llama.cpp's server from the xllamacpp package, with the flags of llama-server that perfhost uses.

It ends with the process that started it: perfhost holds the other end of its standard input, so the end of that input
means that perfhost is gone, however it went. No engine is left behind.
"""

import argparse
import importlib.metadata
import os
import sys
import threading

import xllamacpp

KV_TYPES = {
    "f16": xllamacpp.ggml_type.GGML_TYPE_F16,
    "q8_0": xllamacpp.ggml_type.GGML_TYPE_Q8_0,
    "q4_0": xllamacpp.ggml_type.GGML_TYPE_Q4_0,
}
FLASH_ATTENTION = {
    "auto": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
POOLING = {
    "mean": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN,
    "cls": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_CLS,
    "last": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST,
}


def arguments():
    parser = argparse.ArgumentParser(prog="llama-server", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=importlib.metadata.version("xllamacpp"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--ctx-size", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--ubatch-size", type=int, default=512)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--threads-http", type=int, default=-1)
    parser.add_argument("--flash-attn", choices=FLASH_ATTENTION, default="auto")
    parser.add_argument("--cache-type-k", choices=KV_TYPES, default="f16")
    parser.add_argument("--cache-type-v", choices=KV_TYPES, default="f16")
    parser.add_argument("--cache-reuse", type=int, default=0)
    parser.add_argument("--cache-ram", type=int, default=8192)
    parser.add_argument("--embeddings", action="store_true")
    parser.add_argument("--pooling", choices=POOLING)
    parser.add_argument("--metrics", action="store_true")
    parser.add_argument("--slots", action="store_true")
    parser.add_argument("--no-webui", action="store_true")
    return parser.parse_args()


def parameters(asked):
    params = xllamacpp.CommonParams()
    params.model.path = asked.model
    params.model_alias = {asked.alias}
    params.hostnames = [asked.host]
    params.port = asked.port
    params.n_parallel = asked.parallel
    params.n_ctx = asked.ctx_size
    params.n_batch = asked.batch_size
    params.n_ubatch = asked.ubatch_size
    params.n_threads_http = asked.threads_http
    if asked.threads:
        params.cpuparams.n_threads = asked.threads
        params.cpuparams_batch.n_threads = asked.threads
    params.flash_attn_type = FLASH_ATTENTION[asked.flash_attn]
    params.cache_type_k = KV_TYPES[asked.cache_type_k]
    params.cache_type_v = KV_TYPES[asked.cache_type_v]
    params.n_cache_reuse = asked.cache_reuse
    params.cache_ram_mib = asked.cache_ram
    params.embedding = asked.embeddings
    if asked.pooling:
        params.pooling_type = POOLING[asked.pooling]
    params.endpoint_metrics = asked.metrics
    params.endpoint_slots = asked.slots
    params.ui = not asked.no_webui
    return params


def end_with_parent():
    try:
        while sys.stdin.buffer.read(4096):
            pass
    finally:
        # Not sys.exit: only this thread would end.
        os._exit(0)


def main():
    asked = arguments()
    # Before the model is loaded, so that a parent that goes away while it loads is noticed too.
    threading.Thread(target=end_with_parent, daemon=True).start()
    server = xllamacpp.Server(parameters(asked))
    print(f"listening on {server.listening_address}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
