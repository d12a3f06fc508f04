"""Writes fields.txt: every field of App Mesh's API, from botocore's model of it.

    python3 -m venv v && v/bin/pip install botocore && v/bin/python fields.py >fields.txt
"""
import gzip
import importlib.metadata
import json
import pathlib

import botocore

KINDS = ["mesh", "virtualNode", "virtualRouter", "route", "virtualService", "virtualGateway", "gatewayRoute"]
# What people look for first stands first; the rest is alphabetical.
FIRST = [
    "name", "priority", "match", "virtualNode", "weight", "port", "virtualService", "target", "prefix", "path", "start", "namespaceName",
    "serviceName", "methodName", "mode", "listeners", "serviceDiscovery", "backends", "portMapping",
]

model = json.loads(gzip.decompress((pathlib.Path(botocore.__file__).parent / "data/appmesh/2019-01-25/service-2.json.gz").read_bytes()))
shapes = model["shapes"]


def walk(path, name):
    shape = shapes[name]
    if shape["type"] == "structure":
        for key in sorted(shape["members"], key=lambda k: (FIRST.index(k) if k in FIRST else len(FIRST), k)):
            walk(f"{path}.{key}", shape["members"][key]["shape"])
    elif shape["type"] == "list":
        walk(path + "[]", shape["member"]["shape"])
    else:
        print(path, {"long": "integer"}.get(shape["type"], shape["type"]))


print(f"# Every field of AWS App Mesh's API ({model['metadata']['apiVersion']}): path and type, [] for lists.")
print(f"# Written by fields.py from the model in botocore {importlib.metadata.version('botocore')} (Apache License 2.0).")
for kind in KINDS:
    walk(kind, kind[0].upper() + kind[1:] + "Data")
