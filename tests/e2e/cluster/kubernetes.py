"""The Kubernetes server programs, compiled once from Debian's source package and kept in the cache folder.

Debian has no binary package of them. KUBEBUILDER_ASSETS may name a folder with programs to use instead of ours.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from harness import processes
from harness.cache import cache_folder, locked

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet")
# The tree's own reflect2 1.0.1 crashes when compiled by Go 1.18 or newer (a custom resource is enough); Debian has 1.0.2.
_REFLECT2 = pathlib.Path("/usr/share/gocode/src/github.com/modern-go/reflect2")
_CHANGE = "reflect2-1.0.2"
_SUMS = "SHA256SUMS"  # written last: a folder without it is not finished
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def programs(say=lambda text: None) -> dict[str, str]:
    """Name → path of every server program and of etcd; what the cache lacks is compiled now (eight minutes)."""
    with locked("kubernetes"):
        folder = _newest_whole_folder() or _compile(say)
    found = {name: str(folder / name) for name in PROGRAMS} | {"etcd": "/usr/bin/etcd"}
    assets = pathlib.Path(os.environ.get("KUBEBUILDER_ASSETS") or "/nonexistent")
    return found | {name: str(assets / name) for name in found if os.access(assets / name, os.X_OK)}


def _newest_whole_folder() -> pathlib.Path | None:
    """Folders are named by the source package's version and our change; one with other programs than it had does not count."""
    folders = sorted((cache_folder() / "kubernetes").glob(f"*~{_CHANGE}/"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    return next((folder for folder in folders if _is_whole(folder)), None)


def _is_whole(folder: pathlib.Path) -> bool:
    sums = folder / _SUMS
    missing = [name for name in PROGRAMS if not (folder / name).is_file()]
    return sums.is_file() and not missing and sums.read_text() == _sums_of(folder)


def _sums_of(folder: pathlib.Path) -> str:
    lines = []
    for name in PROGRAMS:
        with open(folder / name, "rb") as program:
            lines.append(f"{hashlib.file_digest(program, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)


def keep(binaries: pathlib.Path, version: str) -> pathlib.Path:
    """Moves programs compiled from this version, with our change, into the cache, and removes older ones."""
    folder = cache_folder() / "kubernetes" / f"{version}~{_CHANGE}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SUMS).unlink(missing_ok=True)
    for name in PROGRAMS:
        os.replace(binaries / name, folder / name)
    (folder / _SUMS).write_text(_sums_of(folder))
    for other in set(folder.parent.iterdir()) - {folder}:
        shutil.rmtree(other)
    return folder


def _compile(say) -> pathlib.Path:
    say("compiling the Kubernetes server programs from Debian's source package, about eight minutes")
    log_path = cache_folder() / "kubernetes-build.log"
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="making-") as work, open(log_path, "w") as log:
        version = unpack_source(pathlib.Path(work), log)
        return keep(make(pathlib.Path(work), log), version)


def unpack_source(work: pathlib.Path, log) -> str:
    """Fetches the source package into work/source without a change to this machine's apt; returns its version."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "sources.list").write_text(_source_lines())
    apt = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={work}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null",
           "-o", f"Dir::State::lists={work}/lists", "-o", f"Dir::Cache={work}/cache", "-o", "APT::Sandbox::User=root"]
    _run([*apt, "update"], work, log)
    _run([*apt, "source", "--download-only", "kubernetes"], work, log)
    dsc, = work.glob("kubernetes_*.dsc")
    _run(["dpkg-source", "-x", dsc.name, "source"], work, log)
    _replace_reflect2(work / "source/vendor/github.com/modern-go/reflect2")
    return dsc.name.removeprefix("kubernetes_").removesuffix(".dsc")


def _replace_reflect2(folder: pathlib.Path) -> None:
    for file in folder.iterdir():
        if file.suffix in (".go", ".s"):
            file.unlink()
    for file in _REFLECT2.iterdir():
        if file.suffix in (".go", ".s"):
            shutil.copy(file, folder)


def _source_lines() -> str:
    """deb-src lines for the Debian archives that this machine's apt is set up with."""
    listed = processes.run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                           "Created-By: Packages", "Origin: Debian").stdout.splitlines()
    if not listed:
        processes.run("apt-get", "-q", "update")  # it tells an archive's origin only from lists it has fetched
        return _source_lines()
    return "".join(f"deb-src [signed-by={_KEYRING}] {line}\n" for line in sorted(set(listed)))


def make(work: pathlib.Path, log) -> pathlib.Path:
    """Compiles work/source as its own makefile wants it: at its import path below a GOPATH."""
    source = work / "source"
    at_import_path = source / ".go/src/k8s.io/kubernetes"
    at_import_path.parent.mkdir(parents=True)
    at_import_path.symlink_to(source)
    (work / "home").mkdir()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(work / "home"), "PWD": str(at_import_path),
                   "GOPATH": str(source / ".go"), "GOCACHE": str(work / "go-build"), "TMPDIR": str(work),
                   "CGO_ENABLED": "0", "FORCE_HOST_GO": "y"}
    _run(["make", "WHAT=" + " ".join(f"cmd/{name}" for name in PROGRAMS)], at_import_path, log, environment)
    return source / "_output/local/bin/linux" / processes.run("go", "env", "GOARCH").stdout.strip()


def _run(words, folder, log, environment=None) -> None:
    done = subprocess.run(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                          preexec_fn=processes.die_with_parent)
    if done.returncode != 0:
        last = pathlib.Path(log.name).read_text(errors="replace").splitlines()[-20:]
        raise AssertionError("\n".join([f"{' '.join(words)} ended with {done.returncode}; see {log.name}:", *last]))
