# The builder, which fetches sources and pushes images, and the stage program that it hands to the stages' pods; with
# Git, SSH, the shell that `git submodule` is written in, and the shared objects of all.
# The context is the folder of the compiled programs:
#   imagebuild build -f images/builder.Dockerfile -t REGISTRY/imagebuild-builder:VERSION build/release/bin

FROM debian:12-slim AS packages
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      busybox-static ca-certificates git libarchive13 libcurl4 libdeflate0 libisal2 libyaml-cpp0.7 openssh-client

FROM packages AS collect
# Git finds its own commands by name in git-core; most are the program git itself.
RUN set -eu; \
    core=/usr/lib/git-core; \
    mkdir -p /out/bin /out$core; \
    cp --parents /usr/bin/git /usr/bin/ssh $core/git-remote-http $core/git-submodule $core/git-sh-setup \
      $core/git-sh-i18n $core/git-sh-i18n--envsubst /out; \
    ln -s git-remote-http /out$core/git-remote-https; \
    ln -s ../../bin/git /out$core/git; \
    ln -s git /out/usr/bin/git-upload-pack; \
    cp /bin/busybox /out/bin/; \
    for name in basename cat expr sed sh uname; do ln -s busybox /out/bin/$name; done; \
    mkdir -p /out/usr/share/git-core/templates
COPY --chmod=755 imagebuild-builder imagebuild-stage /out/usr/local/bin/
# ldd also names the loader; a library that no package above brought ends the build.
RUN set -eu; \
    ldd /out/usr/local/bin/imagebuild-builder /out/usr/bin/* /out/usr/lib/git-core/git-remote-http > /needed; \
    if grep 'not found' /needed; then exit 1; fi; \
    for file in $(grep -o '/[^ :]*\.so[^ :]*' /needed | sort -u); do cp -L --parents "$file" /out; done
RUN set -eu; \
    mkdir -p -m 1777 /out/tmp; \
    mkdir -p -m 700 /out/root; \
    mkdir -p /out/etc /out/usr/lib/ssl; \
    cp -L --parents /etc/ssl/certs/ca-certificates.crt /out; \
    cp -r --parents /usr/lib/locale/C.utf8 /out; \
    ln -s /etc/ssl/certs/ca-certificates.crt /out/usr/lib/ssl/cert.pem; \
    echo 'hosts: files dns' > /out/etc/nsswitch.conf; \
    printf 'root:x:0:0::/root:/bin/sh\nbuilder:x:65532:65532::/tmp:/bin/sh\n' > /out/etc/passwd; \
    printf 'root:x:0:\nbuilder:x:65532:\n' > /out/etc/group

FROM scratch
COPY --from=collect /out /
ENV PATH=/usr/local/bin:/usr/bin:/bin
ENTRYPOINT ["/usr/local/bin/imagebuild-builder"]
