"""A secret is there for the RUN that names it, and nowhere else."""

import hashlib
import pathlib
import unittest
import uuid

from harness.builder import BUILDER
from harness.case import EndToEndTest, only_imagebuild

# Shows that the secret was read without writing it down: its hash.
DOCKERFILE = """FROM busybox:1.35 AS build
RUN --mount=type=secret,id=token sha256sum < /run/secrets/token > /hash
RUN test ! -e /run/secrets/token
FROM busybox:1.35
COPY --from=build /hash /hash
RUN --mount=type=secret,id=token,target=/etc/token,mode=0400 stat -c %a /etc/token > /mode && cat /etc/token > /dev/null
"""


class SecretsTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.secret = f"secret-{uuid.uuid4().hex}"
        self.file = self.folder / "token"
        self.file.write_text(self.secret)

    def assert_secret_stays_in_the_run(self, image, built):
        texts = {"output": built.output.encode(), "manifest": image.blob(image.digest), "config": image.blob(image.config_digest)}
        texts |= {f"layer {index}": image.layer_bytes(index) for index in range(len(image.diff_ids))}
        for path in pathlib.Path(self.builder.store).glob("**/*"):
            if path.is_file() and not path.is_symlink():
                texts[str(path)] = path.read_bytes()
        for where, text in texts.items():
            self.assertNotIn(self.secret.encode(), text, f"the secret is in {where}")

    def build_with(self, secret, **kwargs):
        context = self.context({"Dockerfile": DOCKERFILE})
        built = self.builder.build(context, "--secret", secret, tag=self.tag, **kwargs)
        self.assert_built(built)
        return self.pull(self.tag), built

    def assert_was_read(self, image):
        self.assert_prints(image, hashlib.sha256(self.secret.encode()).hexdigest() + "  -\n400\n", "cat", "/hash", "/mode")

    def test_a_file_is_readable_in_its_run_and_nowhere_else(self):
        image, built = self.build_with(f"id=token,src={self.file}")
        self.assert_was_read(image)
        self.assert_secret_stays_in_the_run(image, built)

    def test_an_environment_variable_is_readable_in_its_run_and_nowhere_else(self):
        kind = "type=env," if BUILDER == "buildah" else ""
        name = "src" if BUILDER == "buildah" else "env"
        image, built = self.build_with(f"{kind}id=token,{name}=E2E_TOKEN", environment={"E2E_TOKEN": self.secret})
        self.assert_was_read(image)
        self.assert_secret_stays_in_the_run(image, built)

    def test_its_mount_point_does_not_reach_the_image(self):
        image, _ = self.build_with(f"id=token,src={self.file}")
        self.assertEqual(set(self.added(image, "busybox:1.35")), {"hash", "mode"})

    @only_imagebuild
    def test_a_required_secret_that_was_not_given_is_named(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUN --mount=type=secret,id=token,required=true true\n"})
        self.assert_fails(self.builder.build(context), 1, "token", "Dockerfile:2")


if __name__ == "__main__":
    unittest.main()
