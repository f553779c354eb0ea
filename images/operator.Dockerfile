# The operator, with the shared objects it needs and nothing else.
# The context is the folder of the compiled programs:
#   imagebuild build -f images/operator.Dockerfile -t REGISTRY/imagebuild-operator:VERSION build/release/bin

FROM debian:12-slim AS packages
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates libarchive13 libcivetweb1 libcpprest2.10 libcurl4 libdeflate0 libprometheus-cpp-core1.0 libyaml-cpp0.7

FROM packages AS collect
COPY --chmod=755 imagebuild-operator /out/usr/local/bin/
# ldd also names the loader; a library that no package above brought ends the build.
RUN set -eu; \
    ldd /out/usr/local/bin/* > /needed; \
    if grep 'not found' /needed; then exit 1; fi; \
    for file in $(grep -o '/[^ :]*\.so[^ :]*' /needed | sort -u); do cp -L --parents "$file" /out; done
RUN set -eu; \
    mkdir -p -m 1777 /out/tmp; \
    mkdir -p /out/etc /out/usr/lib/ssl; \
    cp -L --parents /etc/ssl/certs/ca-certificates.crt /out; \
    ln -s /etc/ssl/certs/ca-certificates.crt /out/usr/lib/ssl/cert.pem; \
    echo 'hosts: files dns' > /out/etc/nsswitch.conf; \
    echo 'operator:x:65532:65532::/tmp:/sbin/nologin' > /out/etc/passwd; \
    echo 'operator:x:65532:' > /out/etc/group

FROM scratch
COPY --from=collect /out /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/imagebuild-operator"]
