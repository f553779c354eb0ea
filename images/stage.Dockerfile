# The static stage program alone: the image of stages that start from scratch.
# The context is the folder of the compiled programs:
#   imagebuild build -f images/stage.Dockerfile -t REGISTRY/imagebuild-stage:VERSION build/release/bin

FROM scratch
COPY --chmod=755 imagebuild-stage /.imagebuild/bin/imagebuild-stage
ENTRYPOINT ["/.imagebuild/bin/imagebuild-stage"]
