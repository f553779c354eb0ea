// Which stage needs which: the graph of a Dockerfile.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "dockerfile/parser.h"

namespace imagebuild::dockerfile {

enum class SourceKind { kScratch, kStage, kImage, kNamedContext };

// Where a base, a COPY --from or a mount takes its files from.
struct Source {
  SourceKind kind = SourceKind::kScratch;
  int stage = -1;    // kStage: its index.
  std::string name;  // kImage: the reference as written, expanded. kNamedContext: the context's name.
  Position at;       // Of the word that names it.
};

// One `from` of a stage.
struct Reference {
  Source source;
  std::size_t step = 0;              // Index in Stage::steps, of this stage or (if set) of `trigger_stage`.
  std::optional<int> trigger_stage;  // The step is an ONBUILD of this stage, which is our base.
  std::optional<std::size_t> mount;  // RUN --mount: its index in Run::mounts; unset for COPY.
};

struct GraphStage {
  int index = 0;
  std::string name;  // Lower case; empty when there is none.
  Source base;
  std::optional<std::string> platform;  // --platform, expanded.
  // A named context has this stage's name: the context takes its place, and nothing of the stage is run or needed.
  bool replaced = false;
  std::vector<Reference> references;  // In the order of the file; triggers of the base stage first.
  std::vector<int> needs;             // The stages it needs directly: sorted, each once.
  bool needed = false;                // The target needs it, or it is the target.
};

struct Graph {
  std::vector<GraphStage> stages;  // One per stage of the Dockerfile, same order.
  int target = 0;
  std::vector<int> order;  // The needed stages, each after those that it needs; the target is last.
};

struct GraphOptions {
  // Expands a word of a FROM in the global scope (ARGs before the first FROM, platform args).
  ExpandWord expand;
  // A stage's name (case does not matter) or index; empty means the last stage.
  std::string target;
  // Names given with --build-context. "alpine" also stands for alpine:latest.
  std::vector<std::string> named_contexts;
};

// Resolves every base and `from`. The rules:
// - A stage may name only stages before it; of several with one name, the nearest before it.
// - The name of this stage or of a later one is an error, and so is a number that is no earlier stage's index.
//   (A base is an image nevertheless when the later stage is FROM x AS x, or x is a well-known image.)
// - A name of three or more letters without '/', ':', '@' or '.' that nearly is an earlier stage's is an error with the
//   right name, unless it is a well-known image or an earlier stage's base. To use such an image, write its tag.
// - Every other unknown name is an image.
// Errors are located in the Dockerfile, those about `target` begin with "target".
Result<Graph> make_graph(const Dockerfile& dockerfile, const GraphOptions& options);

// Resolves the `from` of a step of stage `stage`, or of a trigger from its base image (`file` then is the origin given
// to parse_trigger()).
Result<Source> resolve_from(const Dockerfile& dockerfile, const GraphOptions& options, int stage, const Word& from,
                            std::string_view file);

}  // namespace imagebuild::dockerfile
