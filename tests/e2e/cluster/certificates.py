"""The cluster's own certificate authority, and the certificates of its parts."""

import pathlib

from harness import processes

_CONFIG = """[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[part]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
authorityKeyIdentifier = keyid
subjectAltName = ${ENV::NAMES}
"""


class Authority:
    """Keeps NAME.crt and NAME.key of everything it issued in one folder; its own are ca.crt and ca.key."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        folder.mkdir(mode=0o700)
        (folder / "openssl.cnf").write_text(_CONFIG)
        self._request("ca", "/CN=imagebuild-cluster", "authority")
        processes.run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                      self.path("service-account.key"))
        processes.run("openssl", "pkey", "-in", self.path("service-account.key"), "-pubout", "-out",
                      self.path("service-account.pub"))

    def path(self, file: str) -> str:
        return str(self._folder / file)

    def issue(self, name: str, user: str, group: str = "", names: tuple[str, ...] = ()) -> None:
        """A certificate for a user of the API (and its group), which also serves under these names and addresses."""
        subject = (f"/O={group}" if group else "") + f"/CN={user}"
        self._request(name, subject, "part", names, "-CA", self.path("ca.crt"), "-CAkey", self.path("ca.key"))

    def _request(self, name: str, subject: str, kind: str, names: tuple[str, ...] = (), *signer: str) -> None:
        spelled = [("IP:" if entry[0].isdigit() else "DNS:") + entry for entry in names or (name,)]
        processes.run("openssl", "req", "-x509", "-config", self.path("openssl.cnf"), "-extensions", kind, "-days", "30",
                      "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", subject, *signer,
                      "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.crt"),
                      env={"PATH": "/usr/bin:/bin", "NAMES": ",".join(spelled)})
