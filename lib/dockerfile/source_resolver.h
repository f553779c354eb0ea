// What a name in a Dockerfile means: a stage, a named context, scratch or an image. The rules are those of graph.h.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/graph.h"

namespace imagebuild::dockerfile {

// The index that decimal digits say, -1 when it is beyond any stage; nothing for other text.
std::optional<int> stage_index(std::string_view text);

// Refers to all that it is given.
class SourceResolver {
 public:
  // Errors are located in `file`.
  SourceResolver(const Dockerfile& dockerfile, const GraphOptions& options, std::string_view file)
      : stages_(dockerfile.stages), options_(options), file_(file) {}

  // The stage that `name` means in stage `before`: the nearest one before it.
  std::optional<int> earlier_stage(std::string_view name, int before) const;
  // Whether a named context takes the stage's place.
  bool replaced(int index) const;
  // COPY --from and RUN --mount from, in stage `in`.
  Result<Source> from(const Word& word, int in);
  // The base of stage `in`: `name` is the expanded word.
  Result<Source> base(const Word& word, const std::string& name, int in);

 private:
  const Stage& stage(int index) const { return stages_[static_cast<std::size_t>(index)]; }
  std::optional<std::string> context(std::string_view name) const;
  Source stage_source(int index, Position at) const;
  Result<Source> by_index(const Word& word, int index, int in) const;
  // A name that is no stage's.
  Result<Source> image(Position at, const std::string& name, int in);
  Error error(Position at, const std::string& message) const;
  Error later(const Word& word, const Stage& stage) const;
  // Whether a stage before `before` has a version of that image as its base.
  bool used_as_image(const std::string& name, int before);
  // "; did you mean 'build'?" when `name` nearly is that of a stage before `before`.
  std::string misspelt_stage(const std::string& name, int before);

  const std::vector<Stage>& stages_;
  const GraphOptions& options_;
  std::string_view file_;
  std::map<std::string, int> base_images_;     // Repository → the first stage that has it as its base.
  std::size_t comparisons_left_ = 20'000'000;  // Bounds the search for misspelt names in a hostile file.
};

}  // namespace imagebuild::dockerfile
