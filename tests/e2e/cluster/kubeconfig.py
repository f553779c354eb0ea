"""Writes kubeconfig files; JSON is YAML too."""

import base64
import json
import pathlib

from .certificates import Authority


def write(path: pathlib.Path, server: str, authority: Authority, certificate: str) -> pathlib.Path:
    """One cluster, one user with the certificate of that name; everything is in the file."""
    def data(file: str) -> str:
        return base64.b64encode(pathlib.Path(authority.path(file)).read_bytes()).decode()

    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "cluster", "preferences": {},
        "clusters": [{"name": "cluster", "cluster": {"server": server, "certificate-authority-data": data("ca.crt")}}],
        "users": [{"name": certificate, "user": {"client-certificate-data": data(f"{certificate}.crt"),
                                                 "client-key-data": data(f"{certificate}.key")}}],
        "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": certificate}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))
    return path
