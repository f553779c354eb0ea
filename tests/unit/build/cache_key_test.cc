#include "build/cache_key.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace imagebuild::build {
namespace {

// FROM base   COPY a b   RUN make
StageInputs sample() {
  StageInputs inputs;
  inputs.start = {{InputKind::kBuilder, "", "1"},
                  {InputKind::kPlatform, "", "amd64"},
                  {InputKind::kCompression, "", "1"},
                  {InputKind::kEpoch, "", "0"},
                  {InputKind::kInstruction, "VOLUME", "none"},
                  {InputKind::kBase, "alpine:3.18", "sha256:a"}};
  inputs.steps = {
      {0, {{InputKind::kInstruction, "", "copy"}, {InputKind::kFile, "a", "1"}, {InputKind::kFile, "b", "1"}}},
      {2, {{InputKind::kInstruction, "", "make"}, {InputKind::kVariable, "PATH", "/bin"}}}};
  inputs.end = {{InputKind::kExports, "", "app"}};
  return inputs;
}

using Edit = std::function<void(StageInputs&)>;

// Which keys a change makes different.
struct KeyRow {
  const char* name;
  Edit edit;
  bool first, second, stage;
};
void PrintTo(const KeyRow& row, std::ostream* out) {
  *out << row.name;
}

class Keys : public testing::TestWithParam<KeyRow> {};

TEST_P(Keys, ChangeFromTheChangedInputOn) {
  StageInputs changed = sample();
  GetParam().edit(changed);
  const StageKeys before = keys_of(sample());
  const StageKeys now = keys_of(changed);
  ASSERT_EQ(now.steps.size(), 2U);
  EXPECT_EQ(now.steps[0].key != before.steps[0].key, GetParam().first);
  EXPECT_EQ(now.steps[1].key != before.steps[1].key, GetParam().second);
  EXPECT_EQ(now.stage != before.stage, GetParam().stage);
}

INSTANTIATE_TEST_SUITE_P(
    Changes, Keys,
    testing::Values(
        KeyRow{"Nothing", [](StageInputs&) {}, false, false, false},
        KeyRow{"Builder", [](StageInputs& it) { it.start[0].value = "2"; }, true, true, true},
        KeyRow{"Platform", [](StageInputs& it) { it.start[1].value = "arm64"; }, true, true, true},
        KeyRow{"BaseDigest", [](StageInputs& it) { it.start[5].value = "sha256:b"; }, true, true, true},
        KeyRow{"BaseName", [](StageInputs& it) { it.start[5].name = "alpine"; }, false, false, false},
        KeyRow{"OneMoreStart",
               [](StageInputs& it) {
                 it.start.push_back({InputKind::kBase, "stage x", "1"});
               },
               true, true, true},
        KeyRow{"FileContent", [](StageInputs& it) { it.steps[0].inputs[1].value = "2"; }, true, true, true},
        KeyRow{"FileName", [](StageInputs& it) { it.steps[0].inputs[1].name = "c"; }, true, true, true},
        KeyRow{"FileOrder", [](StageInputs& it) { std::swap(it.steps[0].inputs[1], it.steps[0].inputs[2]); }, true,
               true, true},
        KeyRow{"Variable", [](StageInputs& it) { it.steps[1].inputs[1].value = "/sbin"; }, false, true, true},
        KeyRow{"Kind", [](StageInputs& it) { it.steps[1].inputs[1].kind = InputKind::kFile; }, false, true, true},
        KeyRow{"PlaceOfTheStep", [](StageInputs& it) { it.steps[1].step = 9; }, false, false, false},
        KeyRow{"Exports", [](StageInputs& it) { it.end[0].value = "lib"; }, false, false, true}),
    [](const auto& row) { return row.param.name; });

TEST(CacheKeys, TellNoTwoListsOfInputsForOne) {
  const auto key = [](std::vector<KeyInput> inputs) {
    StageInputs it;
    it.steps = {{0, std::move(inputs)}};
    return keys_of(it).steps[0].key.str();
  };
  const std::set<std::string> keys = {
      key({}),
      key({{InputKind::kFile, "ab", "c"}}),
      key({{InputKind::kFile, "a", "bc"}}),
      key({{InputKind::kFile, "abc", ""}}),
      key({{InputKind::kFile, "", "abc"}}),
      key({{InputKind::kFile, "a", "b"}, {InputKind::kFile, "", "c"}}),
      key({{InputKind::kFile, "a", ""}, {InputKind::kFile, "b", "c"}}),
      key({{InputKind::kFile, "1:a", "1:b"}}),
      key({{InputKind::kVariable, "ab", "c"}}),
  };
  EXPECT_EQ(keys.size(), 9U);
}

TEST(CacheKeys, DoNotMixStartStepsAndEnd) {
  const std::vector<KeyInput> one = {{InputKind::kFile, "a", "b"}};
  StageInputs start;
  start.start = one;
  StageInputs step;
  step.steps = {{0, one}};
  StageInputs end;
  end.end = one;
  StageInputs two_steps;
  two_steps.steps = {{0, {}}, {1, one}};
  std::set<std::string> keys;
  for (const StageInputs& it : {start, step, end, two_steps}) keys.insert(keys_of(it).stage->str());
  EXPECT_EQ(keys.size(), 4U);
}

TEST(CacheKeys, GiveNoStageKeyUnlessAllInputsAreKnown) {
  StageInputs inputs = sample();
  const StageKeys complete = keys_of(inputs);
  inputs.steps.pop_back();
  inputs.is_complete = false;
  const StageKeys known = keys_of(inputs);
  EXPECT_FALSE(known.stage);
  ASSERT_EQ(known.steps.size(), 1U);
  EXPECT_EQ(known.steps[0].key, complete.steps[0].key);
}

struct ChangeRow {
  const char* name;
  Edit edit;
  int step;
  const char* what;  // nullptr: no change.
};
void PrintTo(const ChangeRow& row, std::ostream* out) {
  *out << row.name;
}

class FirstChange : public testing::TestWithParam<ChangeRow> {};

TEST_P(FirstChange, NamesWhatIsDifferent) {
  StageInputs now = sample();
  GetParam().edit(now);
  const std::optional<Change> change = first_change(sample(), now);
  ASSERT_EQ(change.has_value(), GetParam().what != nullptr);
  if (!change) return;
  EXPECT_EQ(change->step, GetParam().step);
  EXPECT_EQ(change->what, GetParam().what);
}

void add_files(StageInputs& it, int count) {
  for (int i = 0; i < count; ++i) it.steps[0].inputs.push_back({InputKind::kFile, "n" + std::to_string(i), "1"});
}

INSTANTIATE_TEST_SUITE_P(
    Texts, FirstChange,
    testing::Values(
        ChangeRow{"Nothing", [](StageInputs&) {}, 0, nullptr},
        ChangeRow{"BaseName", [](StageInputs& it) { it.start[5].name = "docker.io/library/alpine:3.18"; }, 0, nullptr},
        ChangeRow{"Builder", [](StageInputs& it) { it.start[0].value = "2"; }, -1, "imagebuild itself changed"},
        ChangeRow{"Platform", [](StageInputs& it) { it.start[1].value = "arm64"; }, -1, "the platform changed"},
        ChangeRow{"Compression", [](StageInputs& it) { it.start[2].value = "2"; }, -1, "the compression changed"},
        ChangeRow{"Epoch", [](StageInputs& it) { it.start[3].value = "1"; }, -1, "SOURCE_DATE_EPOCH changed"},
        ChangeRow{"EpochIsGone", [](StageInputs& it) { it.start.erase(it.start.begin() + 3); }, -1,
                  "SOURCE_DATE_EPOCH is gone"},
        ChangeRow{"Volumes", [](StageInputs& it) { it.start[4].value = "/data"; }, -1, "VOLUME changed"},
        ChangeRow{"Base", [](StageInputs& it) { it.start[5].value = "sha256:b"; }, -1, "the base alpine:3.18 changed"},
        ChangeRow{"OtherBase",
                  [](StageInputs& it) {
                    it.start[5] = {InputKind::kBase, "debian:12", "sha256:d"};
                  },
                  -1, "the base debian:12 is new, the base alpine:3.18 is gone"},
        ChangeRow{"File", [](StageInputs& it) { it.steps[0].inputs[2].value = "2"; }, 0, "b changed"},
        ChangeRow{"NewFile", [](StageInputs& it) { add_files(it, 1); }, 0, "n0 is new"},
        ChangeRow{"RemovedFile", [](StageInputs& it) { it.steps[0].inputs.pop_back(); }, 0, "b is gone"},
        ChangeRow{"RenamedFile", [](StageInputs& it) { it.steps[0].inputs[2].name = "c"; }, 0, "c is new, b is gone"},
        ChangeRow{"ManyFiles", [](StageInputs& it) { add_files(it, 5); }, 0,
                  "n0 is new, n1 is new, n2 is new and 2 more"},
        ChangeRow{"Order", [](StageInputs& it) { std::swap(it.steps[0].inputs[1], it.steps[0].inputs[2]); }, 0,
                  "the order of its files changed"},
        ChangeRow{"Instruction", [](StageInputs& it) { it.steps[1].inputs[0].value = "make all"; }, 2,
                  "the instruction changed"},
        ChangeRow{"Variable", [](StageInputs& it) { it.steps[1].inputs[1].value = "/"; }, 2,
                  "the variable PATH changed"},
        ChangeRow{"NewVariable",
                  [](StageInputs& it) {
                    it.steps[1].inputs.push_back({InputKind::kVariable, "CI", "1"});
                  },
                  2, "the variable CI is new"},
        ChangeRow{"TheFirstOfTwo",
                  [](StageInputs& it) {
                    it.steps[0].inputs[1].value = "2";
                    it.steps[1].inputs[0].value = "2";
                  },
                  0, "a changed"},
        ChangeRow{"NewStep",
                  [](StageInputs& it) {
                    it.steps.push_back({5, {}});
                  },
                  5, "the instruction is new"},
        ChangeRow{"RemovedStep", [](StageInputs& it) { it.steps.pop_back(); }, 0, "an instruction is gone"},
        ChangeRow{"StepsNotKnownYet",
                  [](StageInputs& it) {
                    it.steps.pop_back();
                    it.is_complete = false;
                  },
                  0, nullptr},
        ChangeRow{"Exports", [](StageInputs& it) { it.end[0].value = "lib"; }, 2,
                  "what other stages take from it changed"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace imagebuild::build
