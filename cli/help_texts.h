// Every text that --help prints. Good enough to need no manual.
#pragma once

namespace imagebuild::cli {

inline constexpr const char* kMainHelp = R"(imagebuild turns a multi-stage Dockerfile into a minimal image.

Usage: imagebuild COMMAND [OPTIONS]

Commands:
  build      Build an image and push it or write it to a folder or archive
  plan       Show the solved stages of a Dockerfile without running anything
  lint       Check a Dockerfile without building it
  cache      Show and remove what is kept between builds
  version    Print the version

'imagebuild COMMAND --help' explains a command.

Exit codes:
  0  built
  1  the build failed and the input has to change: a command, a Dockerfile, a name, a credential
  2  the command line is wrong
  3  the machine, the network or a registry failed; trying again may help
)";

inline constexpr const char* kVersionHelp = "Usage: imagebuild version\n\nPrints the version and the platform.\n";

inline constexpr const char* kBuildDescription =
    "Build an image from a Dockerfile. Stages run in containers of runc or crun, independent ones at the same time;\n"
    "only the files that a later COPY --from names leave a stage.";
inline constexpr const char* kPlanDescription =
    "Show what 'imagebuild build' would do: the stages that are needed, what each takes from others and which of them\n"
    "run in a container. Resolves base images, runs nothing.";

inline constexpr const char* kBuildFooter = R"(
Examples:
  imagebuild build -t registry.corp/team/app:1.4 .
  imagebuild build -f deploy/Dockerfile --target test .
  imagebuild build --platform linux/amd64,linux/arm64 -t localhost:5000/app .
  imagebuild build --target api=localhost:5000/api --target web=localhost:5000/web .
  imagebuild build -t app:dev --output type=oci-archive,dest=app.tar .
  imagebuild build --build-arg VERSION=1.4 --secret id=npmrc,src=$HOME/.npmrc -t localhost:5000/app .
  imagebuild build --cache-to localhost:5000/cache --cache-from localhost:5000/cache -t localhost:5000/app .
  git archive HEAD | imagebuild build -t localhost:5000/app -

Environment:
  IMAGEBUILD_STORE       where base images and results of steps are kept (--store)
  SOURCE_DATE_EPOCH      no time in the image is later; default: the commit time of the context, else 1970
  DOCKER_CONFIG          folder of the config.json with registry credentials; default: ~/.docker
  REGISTRY_AUTH_FILE     a credentials file to use instead
  HTTP_PROXY HTTPS_PROXY NO_PROXY
                         how registries are reached
  NO_COLOR               no colours in the progress view

Exit codes:
  0  built
  1  the build failed and the input has to change: a command, a Dockerfile, a name, a credential
  2  the command line is wrong
  3  the machine, the network or a registry failed; trying again may help
  130, 143  stopped by Ctrl-C or SIGTERM; nothing is left behind)";

inline constexpr const char* kPlanFooter = R"(
Examples:
  imagebuild plan .
  imagebuild plan --format json . | jq '.stages[].name'
  imagebuild plan --format dot . | dot -Tsvg > plan.svg

Exit codes:
  0  solved
  1  the Dockerfile or a name in it is wrong
  2  the command line is wrong
  3  the machine, the network or a registry failed; trying again may help)";

inline constexpr const char* kLintDescription =
    "Check a Dockerfile: what is wrong, and what is right but probably not meant. Reads no registry, runs nothing. "
    "Every\n"
    "rule has a page in docs/rules; '# check=skip=RULE' in the Dockerfile switches one off.";
inline constexpr const char* kLintFooter = R"(
Examples:
  imagebuild lint .
  imagebuild lint deploy/app.Dockerfile
  imagebuild lint --target test --build-arg VERSION=1.4 .
  imagebuild lint --format sarif . > lint.sarif

Exit codes:
  0  nothing was found, or --warn-only was given
  1  something was found, or the Dockerfile is wrong
  2  the command line is wrong
  3  the machine failed)";

inline constexpr const char* kCacheHelp = R"(Usage: imagebuild cache COMMAND [OPTIONS]

Show and remove what is kept in the store between builds: results of steps and stages, unpacked base images, and the
caches of RUN --mount=type=cache. With --cache, the results in a cache of --cache-to.

Commands:
  ls      List what is kept, what was used last first
  du      Show how much of each kind there is
  prune   Remove what was not used for long, or what is too much

'imagebuild cache COMMAND --help' explains a command.
)";
inline constexpr const char* kCacheListDescription =
    "List the results, unpacked base layers and RUN caches of the store, what was used last first.";
inline constexpr const char* kCacheUsageDescription = "Show how much of each kind the store keeps.";
inline constexpr const char* kCachePruneDescription =
    "Remove what was not used for longest from the store, until the limits hold. While a build runs, base images and\n"
    "RUN caches are left alone; what is taken out of the cache of results, a build can do without.";
inline constexpr const char* kCacheListFooter = R"(
Examples:
  imagebuild cache ls
  imagebuild cache ls --format json | jq '.[] | select(.kind == "result") | .title'

Exit codes:
  0  done
  2  the command line is wrong
  3  the machine failed)";
inline constexpr const char* kCachePruneFooter = R"(
Examples:
  imagebuild cache prune --max-size 10GB
  imagebuild cache prune --older-than 168h
  imagebuild cache prune --all
  imagebuild cache prune --older-than 30d --cache type=registry,ref=registry.example/team/cache

Exit codes:
  0  done
  2  the command line is wrong
  3  the machine failed, or a running build keeps base images and RUN caches in use, so that --max-size does not hold)";
inline constexpr const char* kNamedCacheHelp =
    "This cache instead of the store: type=registry,ref=HOST/REPOSITORY\nor type=local,src=DIR, as --cache-from has it";
inline constexpr const char* kMaxSizeHelp =
    "Remove what was not used for longest until at most this much is\nleft, such as 10GB";
inline constexpr const char* kOlderThanHelp = "Remove what was not used for so long, such as 168h, 7d or 30m";
inline constexpr const char* kPruneAllHelp = "Remove everything";
inline constexpr const char* kCacheFormatHelp = "text (default) or json";

inline constexpr const char* kLintContextHelp =
    "The build context: a folder (default: this one), a tar file, '-'\nfor a tar on standard input; or a Dockerfile, "
    "whose "
    "folder it is";
inline constexpr const char* kLintTargetHelp =
    "Check the instructions of the stages that this one needs\n(default: those of all stages)";
inline constexpr const char* kLintPlatformHelp = "Check as if built for these platforms (default: this machine's)";
inline constexpr const char* kLintBuildContextHelp = "A named context, as 'build' takes it. Repeatable";
inline constexpr const char* kLintFormatHelp = "text (default), json or sarif (2.1.0, for code review tools)";
inline constexpr const char* kWarnOnlyHelp =
    "Exit with 0 although something was found, unless the Dockerfile is\nwrong or says '# check=error=true'";
inline constexpr const char* kContextHelp =
    "Where COPY takes files from: a folder, a tar file (also .tar.gz),\nor '-' for such a tar on standard input";
inline constexpr const char* kFileHelp = "The Dockerfile; '-' reads standard input\n(default: 'Dockerfile' in CONTEXT)";
inline constexpr const char* kTargetHelp =
    "Build this stage, named or by index (default: the last). With\n=REF its image is called so and pushed there; "
    "several "
    "targets\nneed a name each, and share what they have in common.\nRepeatable";
inline constexpr const char* kPlanTargetHelp = "Stop at this stage, named or by index (default: the last).\nRepeatable";
inline constexpr const char* kBuildArgHelp =
    "Set a build argument (ARG); without '=V' it has the value of\nthe environment variable K. Repeatable";
inline constexpr const char* kBuildContextHelp =
    "A tree or image that the Dockerfile names as it names a stage.\nVALUE is a folder, docker-image://IMAGE, "
    "oci-layout://FOLDER,\nor the address of a Git repository or web archive. Repeatable";
inline constexpr const char* kAddHostHelp = "A line of /etc/hosts for every RUN, such as db:10.0.0.7.\nRepeatable";
inline constexpr const char* kUlimitHelp =
    "A limit for every RUN, such as nofile=1024:2048; -1 is\nunlimited. Repeatable";
inline constexpr const char* kShmSizeHelp = "Size of /dev/shm for every RUN, such as 128m";
inline constexpr const char* kPlatformHelp =
    "Build for these platforms (default: the one of this machine);\nseveral make one image index. RUN needs a machine "
    "of the\nplatform, or an emulator in the kernel. Repeatable";
inline constexpr const char* kSecretHelp =
    "A secret for RUN --mount=type=secret: id=ID,src=FILE or\nid=ID,env=VARIABLE. It reaches no layer, log or report. "
    "Repeatable";
inline constexpr const char* kSshHelp =
    "What RUN --mount=type=ssh speaks with: default (the agent of\n$SSH_AUTH_SOCK), ID=SOCKET or "
    "ID=KEYFILE[,KEYFILE]. Repeatable";
inline constexpr const char* kTagHelp =
    "Name of the image, such as registry.corp/team/app:1.4; it is\npushed there unless --output says otherwise. Of "
    "several --target\nit names the one without '='. Repeatable";
inline constexpr const char* kOutputHelp =
    "Where the image goes. Repeatable; one of\n"
    "  type=registry                    push to each -t\n"
    "  type=oci,dest=FOLDER             an OCI layout; one that exists keeps its images\n"
    "  type=oci-archive,dest=FILE       the same as a tar file\n"
    "  type=docker-archive,dest=FILE    for 'docker load'\n"
    "Without -t and --output the image is only built";
inline constexpr const char* kCompressionHelp = "Of new layers: gzip (default; works everywhere) or zstd";
inline constexpr const char* kIidFileHelp =
    "Write the image ID there: the digest of the image's config (of\nthe index for several platforms), as 'docker "
    "build "
    "--iidfile'\ndoes";
inline constexpr const char* kMetadataHelp =
    "Write digests and names there as JSON, with BuildKit's keys:\ncontainerimage.digest, "
    "containerimage.config.digest, "
    "image.name";
inline constexpr const char* kProgressHelp =
    "How progress is shown on standard error: tty (a live view),\nplain (lines), json (one event a line) or auto "
    "(default: tty on\na terminal, else plain)";
inline constexpr const char* kNoCacheHelp =
    "Run every step anew; otherwise a step whose base, instruction and\nfiles are those of an earlier build is not "
    "run. "
    "Results are kept all\nthe same";
inline constexpr const char* kCacheFromHelp =
    "Where results of earlier builds are taken from, besides the store.\nRepeatable; one of\n"
    "  type=registry,ref=HOST/REPOSITORY   a repository of a registry\n"
    "  type=local,src=FOLDER               a folder";
inline constexpr const char* kCacheToHelp =
    "Where the results of this build are kept, besides the store, for\n--cache-from of other machines. Repeatable; one "
    "of\n"
    "  type=registry,ref=HOST/REPOSITORY   a repository of a registry\n"
    "  type=local,dest=FOLDER              a folder";
inline constexpr const char* kParallelHelp = "Run at most N stages at once (default: one per CPU)";
inline constexpr const char* kStoreHelp =
    "Folder where base images and results of steps are kept between\nbuilds (default: $IMAGEBUILD_STORE, else\n"
    "~/.cache/imagebuild)";
inline constexpr const char* kPlanStoreHelp =
    "Folder of build's --store: the text says what its cache has of\nthe plan, and what changed since the last build";
inline constexpr const char* kMirrorHelp =
    "Pull the images of a registry through a mirror first, such as\ndocker.io=http://10.0.0.7:5000. Repeatable";
inline constexpr const char* kInsecureHelp =
    "Speak plain HTTP to this registry (loopback hosts need not be\nnamed). Repeatable";
inline constexpr const char* kRegistriesHelp = "A YAML file with mirrors, insecure hosts and CAs of registries";
inline constexpr const char* kFormatHelp = "text (default), json (the plan itself) or dot (for Graphviz)";

}  // namespace imagebuild::cli
