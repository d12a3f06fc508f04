"""A gRPC client that speaks xDS: GRPC_XDS_BOOTSTRAP says from where.

Each line of stdin is TARGET METHOD SECONDS [KEY=VALUE...]; each line of stdout
is "ok ANSWER" or "error STATUS DETAILS".
"""
import sys

import grpc

channels = {}
for line in sys.stdin:
    target, method, seconds, *metadata = line.split()
    if target not in channels:
        channels[target] = grpc.insecure_channel(target)
    call = channels[target].unary_unary(method)  # bytes in, bytes out
    try:
        answer = call(b"", timeout=float(seconds), metadata=[tuple(kv.split("=", 1)) for kv in metadata])
        print("ok", answer[2:].decode(), flush=True)  # a StringValue: tag, length, text
    except grpc.RpcError as e:
        print("error", e.code().name, " ".join(e.details().split()), flush=True)
