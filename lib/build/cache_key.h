// Keys of what a cache keeps. A step's key is the hash of the key before it and of everything that the step's result
// depends on; each of these inputs has a name, so that a user can be told which one changed. Pure: whoever reads the
// files gives their digests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/digest.h"

namespace imagebuild::build {

// The digest of a list of fields: each with its length, so that no two lists give the same bytes.
class FieldHasher {
 public:
  void add(std::string_view field);
  void add(std::uint64_t number);
  // The hasher must not be used afterwards.
  oci::Digest finish();

 private:
  std::string waiting_;  // Short fields are hashed several at once.
  oci::Hasher hasher_;
};

enum class InputKind {
  kBuilder,  // The program that makes the result.
  kBase,     // The image or the layers that the stage starts from.
  kPlatform,
  kEpoch,
  kCompression,
  kInstruction,  // Everything that the step itself says.
  kVariable,     // An argument or a variable of a RUN's environment.
  kFile,         // An object that the step copies or mounts, with its mode and content.
  kExports,      // What leaves the stage.
};

struct KeyInput {
  InputKind kind = InputKind::kInstruction;
  std::string name;   // For people: a path, a variable, an image. Not unique.
  std::string value;  // A digest of what it is; of files without their times.
  bool operator==(const KeyInput&) const = default;
};

struct StepInputs {
  int step = 0;  // Index into the stage's steps.
  std::vector<KeyInput> inputs;
  bool operator==(const StepInputs&) const = default;
};

// Everything that a stage's result depends on. Steps that change no files are not in it.
struct StageInputs {
  std::vector<KeyInput> start;
  std::vector<StepInputs> steps;
  std::vector<KeyInput> end;
  // False: `steps` ends before the first one that takes files from a stage whose result is not known yet.
  bool is_complete = true;
  bool operator==(const StageInputs&) const = default;
};

struct StepKey {
  int step = 0;  // Index into the stage's steps.
  oci::Digest key;
};

struct StageKeys {
  std::vector<StepKey> steps;        // As StageInputs::steps.
  std::optional<oci::Digest> stage;  // Of the stage's layers and exports together; none unless the inputs are complete.
};

// Equal inputs have equal keys, and no two lists of inputs the same one.
StageKeys keys_of(const StageInputs& inputs);

// Why a step has to be carried out though one was kept before.
struct Change {
  int step = -1;     // The first that differs; -1: what the stage starts from.
  std::string what;  // "src/main.c changed", "the argument VERSION is new"; at most three of them.
};

// The first difference between a former build's inputs and these; none when there is no difference.
std::optional<Change> first_change(const StageInputs& before, const StageInputs& now);

}  // namespace imagebuild::build
