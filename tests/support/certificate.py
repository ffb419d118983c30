# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test, and certificates of it that end when the test wants."""
import os
import ssl
import subprocess
import time

NAMES = "DNS:localhost,IP:127.0.0.1,IP:10.77.0.2,IP:::1"


def openssl(*words, **more):
    subprocess.run(["openssl", *words], check=True, capture_output=True, **more)


class Authority:
    """Its certificates have what Python demands since 3.13 (VERIFY_X509_STRICT): key usage, key ids."""

    def __init__(self, folder):
        self.folder = folder
        self.file = os.path.join(folder, "ca.pem")
        self.key = os.path.join(folder, "ca.key")
        self.count = 0
        os.makedirs(folder, exist_ok=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.key, "-out", self.file, "-subj", "/CN=authority", "-days", "30",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        with open(os.path.join(folder, "ca.conf"), "w", encoding="ascii") as file:
            file.write(f"[ca]\ndefault_ca=a\n[a]\ndatabase={folder}/index.txt\nnew_certs_dir={folder}\n"
                       f"rand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
                       f"x509_extensions=e\n[p]\ncommonName=supplied\n"
                       f"[e]\nsubjectAltName={NAMES}\nsubjectKeyIdentifier=hash\n"
                       f"authorityKeyIdentifier=keyid\n")
        with open(os.path.join(folder, "index.txt"), "w", encoding="ascii"):
            pass

    def issue(self, name="node", begins=-3600, ends=3600):
        """(certificate file, key file); begins and ends in seconds from now."""
        def text(seconds):
            return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))
        certificate, key = (os.path.join(self.folder, f"{name}.{end}") for end in ("pem", "key"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-out", key + ".csr", "-subj", f"/CN={name}")
        openssl("ca", "-batch", "-notext", "-config", os.path.join(self.folder, "ca.conf"), "-cert",
                self.file, "-keyfile", self.key, "-in", key + ".csr", "-out", certificate,
                "-startdate", text(begins), "-enddate", text(ends))
        os.chmod(key, 0o600)
        return certificate, key

    def context(self):
        """For a client that trusts this authority."""
        return ssl.create_default_context(cafile=self.file)
