"""The cluster that the other tests run on is what it claims to be."""

import http.server
import threading
import unittest

from cluster.case import ClusterTestCase
from cluster.pods import claim, pod, service
from harness import processes


class ClusterTest(ClusterTestCase):
    def run_pod(self, made: dict) -> str:
        """Runs the pod to its good end; what it printed."""
        name = made["metadata"]["name"]
        self.apply(made)
        ended = self.cluster.wait_for_pod_end(name, self.namespace)
        printed = self.kubectl("logs", name)
        self.assertEqual(ended["status"]["phase"], "Succeeded", printed)
        return printed

    def test_every_node_is_ready_and_says_what_it_is(self):
        nodes = self.cluster.list("nodes")
        self.assertEqual([node["metadata"]["name"] for node in nodes], self.cluster.nodes)
        for node in nodes:
            ready = [condition["status"] for condition in node["status"]["conditions"] if condition["type"] == "Ready"]
            self.assertEqual(ready, ["True"])
            self.assertEqual(node["metadata"]["labels"]["kubernetes.io/hostname"], node["metadata"]["name"])
            self.assertIn("kubernetes.io/arch", node["metadata"]["labels"])

    def test_a_pod_runs_on_the_node_that_it_selects_and_its_log_comes_back(self):
        for node in self.cluster.nodes:
            self.assertEqual(self.run_pod(pod(f"on-{node}", "echo", f"hello from {node}", node=node)), f"hello from {node}\n")
            self.assertEqual(self.get("pod", f"on-{node}")["spec"]["nodeName"], node)

    def test_a_claim_is_shared_by_pods_of_all_nodes(self):
        self.apply(claim("shared"))
        for node in self.cluster.nodes:
            self.run_pod(pod(f"write-{node}", "sh", "-c", f"echo {node} >> /claim/names", node=node, claim="shared"))
        for node in self.cluster.nodes:
            printed = self.run_pod(pod(f"read-{node}", "cat", "/claim/names", node=node, claim="shared"))
            self.assertEqual(printed.split(), self.cluster.nodes)

    def test_a_pod_reaches_the_api_server_at_its_service_address(self):
        script = ('wget -q -O- --no-check-certificate --header "Authorization: Bearer $(cat $0/token)" '
                  'https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/apis')
        for node in self.cluster.nodes:
            calls = pod(f"calls-from-{node}", "sh", "-c", script, "/var/run/secrets/kubernetes.io/serviceaccount", node=node)
            printed = self.run_pod(calls)
            self.assertIn('"kind": "APIGroupList"', printed)

    def test_pods_reach_each_other_across_nodes_by_address_and_by_service(self):
        script = "echo it works > /tmp/page && exec httpd -f -p 80 -h /tmp"
        self.apply([pod("web", "sh", "-c", script, node=self.cluster.nodes[0]), service("web", 80)])
        web = self.wait_for("pod", "web", lambda found: found["status"].get("phase") == "Running", 30, "it runs")
        self.wait_for("endpoints", "web", lambda found: found.get("subsets"), 30, "the service knows its pod")
        for name, address in (("pod", web["status"]["podIP"]), ("service", self.get("service", "web")["spec"]["clusterIP"])):
            script = f"for i in $(seq 50); do wget -q -O- http://{address}/page && exit; sleep 0.1; done; exit 1"
            self.assertEqual(self.run_pod(pod(f"by-{name}", "sh", "-c", script, node=self.cluster.nodes[-1])), "it works\n")

    def test_a_pod_reaches_a_server_of_a_test_on_this_machine(self):
        if not self.cluster.machine:
            self.skipTest("how pods of the cluster of KUBECONFIG reach this machine is not known")

        class Greeter(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802 (the name is http.server's)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"hello from the test")

        server = http.server.ThreadingHTTPServer((self.cluster.machine, 0), Greeter)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        url = f"http://{self.cluster.machine}:{server.server_port}/"
        for node in self.cluster.nodes:
            self.assertEqual(self.run_pod(pod(f"from-{node}", "wget", "-q", "-O-", url, node=node)), "hello from the test")

    def test_custom_resources_are_served(self):
        group = f"{self.namespace}.example.com"
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"things.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [{
                "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}
        self.addCleanup(self.cluster.kubectl, "delete", "crd", f"things.{group}", "--wait=false")
        self.apply(definition)
        self.kubectl("wait", "--for=condition=Established", f"crd/things.{group}", "--timeout=30s")
        thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "first", "labels": {"a": "1", "b": "2"}},
                 "spec": {"map": {str(number): number for number in range(100)}}}
        self.apply(thing)
        self.apply(thing | {"spec": {"map": {"1": 2}}}, "--server-side", "--force-conflicts")
        self.assertEqual(self.get(f"things.{group}", "first")["metadata"]["labels"], {"a": "1", "b": "2"})

    def test_an_image_pushed_from_this_machine_runs_in_a_pod(self):
        pushed = f"{self.cluster.registry}/{self.namespace}/app:1"
        processes.run("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false",
                      f"docker://{self.cluster.registry}/library/busybox:1.35", f"docker://{pushed}")
        for node in self.cluster.nodes:
            self.assertEqual(self.run_pod(pod(f"on-{node}", "echo", "fine", image=pushed, node=node)), "fine\n")

    def test_a_pod_that_cannot_run_is_described_in_the_failure(self):
        self.apply(pod("stuck", "true", image=f"{self.cluster.registry}/there-is/no-such-image:1"))
        with self.assertRaises(AssertionError) as raised:
            self.wait_for("pod", "stuck", lambda found: found["status"].get("phase") == "Running", 4, "it runs")
        self.assertIn("after 4 s still not: it runs", str(raised.exception))
        self.assertRegex(str(raised.exception), "stuck +0/1 +(ErrImagePull|ImagePullBackOff)")
        self.assertIn("Failed to pull image", str(raised.exception))


if __name__ == "__main__":
    unittest.main()
