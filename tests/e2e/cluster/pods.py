"""Objects that tests make pods with."""


def pod(name: str, *command: str, image: str = "busybox:1.35", node: str = "", claim: str = "", **spec) -> dict:
    """A pod that runs `command` once; on that node, if one is named, and with the claim at /claim, if one is named."""
    container = {"name": "main", "image": image, "command": list(command)}
    whole = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    if node:
        whole["nodeSelector"] = {"kubernetes.io/hostname": node}
    if claim:
        container["volumeMounts"] = [{"name": "claim", "mountPath": "/claim"}]
        whole["volumes"] = [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": whole}


def claim(name: str, size: str = "1Gi") -> dict:
    """A claim of the default storage class."""
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}}


def service(name: str, port: int) -> dict:
    """A service address for the pod of that name."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": port}]}}
