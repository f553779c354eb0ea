"""What the stand-in base images are made of.

Users write `FROM golang:1.19`. Without a public registry we make images of those names from Debian 12's packages, which
have the same versions, and serve them as a mirror of docker.io. A layer is made on top of its parent's; an image is a
chain of layers with a configuration.
"""

import dataclasses

_DEBIAN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass(frozen=True)
class Layer:
    parent: str | None
    packages: tuple[str, ...] = ()
    script: str = ""  # run by /bin/sh in the new root after the packages are installed


@dataclasses.dataclass(frozen=True)
class Image:
    layer: str
    env: tuple[str, ...] = (f"PATH={_DEBIAN_PATH}",)
    cmd: tuple[str, ...] = ("bash",)
    entrypoint: tuple[str, ...] = ()
    workdir: str = ""
    ports: tuple[str, ...] = ()
    stop_signal: str = ""


# What the published Debian image does to itself: no services start, no fsync for each file, nothing left of apt's lists.
_DEBIAN_SCRIPT = r"""
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/docker-apt-speedup
: > /etc/resolv.conf
echo debian > /etc/hostname
"""

# The published nginx image's layout: one default site, logs on the container's own output.
_NGINX_SCRIPT = r"""
rm -f /etc/nginx/sites-enabled/default
cat > /etc/nginx/conf.d/default.conf <<'SITE'
server {
    listen 80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html;
    }
}
SITE
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
"""

LAYERS = {
    "busybox": Layer(parent=None),
    "debian": Layer(parent=None, script=_DEBIAN_SCRIPT),
    "gcc": Layer("debian", ("gcc", "libc6-dev", "make")),
    "golang": Layer("debian", ("golang-go",), "mkdir -p -m 1777 /go/src /go/bin"),
    "node-slim": Layer("debian", ("nodejs",)),
    "node": Layer("node-slim", ("npm",)),
    "python-slim": Layer("debian", ("python3", "python-is-python3")),
    "python": Layer("python-slim", ("python3-pip", "python3-setuptools", "python3-venv", "python3-wheel")),
    "nginx": Layer("debian", ("nginx-light",), _NGINX_SCRIPT),
}

IMAGES = {
    "busybox:1.35": Image("busybox", cmd=("sh",)),
    "debian:12": Image("debian"),
    "debian:12-slim": Image("debian"),
    "gcc:12": Image("gcc"),
    "golang:1.19": Image("golang", env=(f"PATH=/go/bin:{_DEBIAN_PATH}", "GOPATH=/go"), workdir="/go"),
    "node:18": Image("node", cmd=("node",)),
    "node:18-slim": Image("node-slim", cmd=("node",)),
    "python:3.11": Image("python", cmd=("python3",)),
    "python:3.11-slim": Image("python-slim", cmd=("python3",)),
    "nginx:1.22": Image("nginx", cmd=("nginx", "-g", "daemon off;"), ports=("80/tcp",), stop_signal="SIGQUIT"),
}
