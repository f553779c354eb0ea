"""ImageBuilds that a test holds in the middle, and what is left of them."""

from cluster.cluster import condition_of
from operator_case import OperatorTestCase

# A RUN that goes on when the test says so: let_go().
HOLD = "until [ -e /go ]; do sleep 0.1; done; rm /go"


class HeldBuildsTestCase(OperatorTestCase):
    """Time limits are for machines with much else to do."""

    def wait_for_status(self, name: str, predicate, what: str, seconds: float = 90) -> dict:
        """The status, once predicate(status) is true of it."""
        found = self.wait_for("imagebuild", name, lambda found: predicate(found.get("status", {})), seconds, f"{name} {what}")
        return found["status"]

    def wait_phase(self, name: str, phase: str, seconds: float = 60) -> dict:
        """The status, once it speaks of the spec as it is and has the phase."""
        def reached(found):
            status = found.get("status", {})
            return status.get("observedGeneration") == found["metadata"]["generation"] and status.get("phase") == phase
        return self.wait_for("imagebuild", name, reached, seconds, f"{name} is {phase}")["status"]

    def wait_running(self, name: str, stage: str, attempt: int = 1, generation: int = 0) -> str:
        """The pod of that attempt at the stage, once it runs; of the build that began at `generation`, if that is said."""
        def running(status):
            if generation and status.get("build", {}).get("generation") != generation:
                return False
            found = stage_of(status, stage)
            return found.get("phase") == "Running" and found.get("attempts") == attempt
        return stage_of(self.wait_for_status(name, running, f"runs stage {stage}"), stage)["pod"]

    def let_go(self, pod: str) -> None:
        """Ends the HOLD that runs in the pod of a stage."""
        self.kubectl("exec", pod, "--container", "stage", "--", "touch", "/go")

    def objects_of(self, name: str) -> dict[str, list[str]]:
        """Kind → the names of what belongs to the build in the cluster, kinds without any left out."""
        selector = f"app.kubernetes.io/managed-by=imagebuild,imagebuild.dev/build={name}"
        found = {kind: sorted(each["metadata"]["name"] for each in self.cluster.list(kind, self.namespace, selector))
                 for kind in ("pods", "persistentvolumeclaims", "configmaps")}
        return {kind: names for kind, names in found.items() if names}

    def wait_nothing_left(self, name: str) -> None:
        # A kubelet of Kubernetes 1.20 may hold on for a minute to a pod that is deleted while its container ends.
        self.cluster.wait_until(lambda: not self.objects_of(name), 150, f"nothing of {name} is left", self.namespace)

    def wait_event(self, name: str, reason: str) -> str:
        """The note of the last event with that reason."""
        def note():
            notes = [event.get("note") for event in self.events(name) if event["reason"] == reason]
            return notes[-1] if notes else None
        return self.cluster.wait_until(note, 20, f"{name} has the event {reason}", self.namespace)

    def reason(self, name: str) -> str:
        return condition_of({"status": self.status(name)}, "Ready").get("reason", "")


def stage_of(status: dict, name: str) -> dict:
    """What the status says of the stage; {} before it is known."""
    return next((stage for stage in status.get("stages", []) if stage["name"] == name), {})
