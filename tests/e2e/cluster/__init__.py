"""A real Kubernetes on this machine, for the tests: made from Debian's packages, in ten seconds, and gone without a trace.

    up.py, down.py      start and end one, by hand or as ctest's fixture
    case.py, cluster.py, pods.py, prometheus.py    what tests use
    bring_up.py         the order of things: enclave.py (the namespaces it lives in), network.py, control_plane.py
                        (certificates.py, kubeconfig.py), node.py (containerd.py, cgroups.py), images.py (pause.c)
    kubernetes.py, helm_and_kubectl.py    the programs, kept in the cache folder
"""
