// Turns the instructions of one stage into steps, with every word expanded and the image's config followed along.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/plan.h"
#include "base/result.h"
#include "dockerfile/parser.h"
#include "dockerfile/remote_source.h"
#include "dockerfile/scope.h"

namespace imagebuild::build {

// "NAME=value" of each.
std::vector<std::string> environment_strings(const std::vector<dockerfile::Variable>& variables);
// `path` from the folder `base`, absolute, without ".", ".." and double or trailing slashes; ".." stops at the root.
std::string clean_join(const std::string& base, const std::string& path);

class StageSolver {
 public:
  // What a stage takes from the rest of the plan.
  struct Elsewhere {
    // Which earlier plan stage, or which tree, a `from` means; a stage then exports `sources`.
    std::function<Result<api::CopyFrom>(const dockerfile::Word& from, std::string_view file,
                                        const std::vector<std::string>& sources)>
        resolve_from;
    // The index in Plan::trees of such a tree.
    std::function<int(const api::FileTree& tree)> tree;
  };

  // `stage` has everything but steps; its config is the base's. `dockerfile`, `globals` and the rest outlive the
  // solver.
  StageSolver(const dockerfile::Dockerfile& dockerfile, const dockerfile::GlobalScope& globals,
              dockerfile::StageScope scope, Elsewhere elsewhere, api::PlanStage& stage);

  // Carries out one instruction. `trigger_of` is empty, or says whose ONBUILD this is: it then names the file in
  // messages, and the step is placed at the stage's FROM.
  Status take(const dockerfile::Instruction& instruction, std::string_view trigger_of = {});

  const dockerfile::StageScope& scope() const { return scope_; }

 private:
  struct Place {  // Where the instruction at hand stands.
    std::string_view file;
    dockerfile::Position at;
    char escape = '\\';
  };
  struct Remote {  // A source of an ADD that is elsewhere.
    dockerfile::RemoteUrl url;
    dockerfile::Position at;
  };

  Result<std::string> expand(const dockerfile::Word& word) const;
  Error fail(dockerfile::Position at, const std::string& message, ErrorCode code = ErrorCode::kInvalidInput) const;
  std::vector<std::string> with_shell(const std::string& line) const;
  std::vector<std::string> argv_of(const dockerfile::CommandLine& command) const;
  std::string absolute(const std::string& path) const;
  void set_image_environment();  // The config's Env follows the scope's.
  void add_step(std::string created_by, decltype(api::Step::action) action = api::MetadataStep{});

  Status on(const dockerfile::From&);
  Status on(const dockerfile::Run& run);
  Status on(const dockerfile::Copy& copy);
  Status on(const dockerfile::Add& add);
  Status on(const dockerfile::Cmd& cmd);
  Status on(const dockerfile::Entrypoint& entrypoint);
  Status on(const dockerfile::Shell& shell);
  Status on(const dockerfile::Env& env);
  Status on(const dockerfile::Arg& arg);
  Status on(const dockerfile::Label& label);
  Status on(const dockerfile::Expose& expose);
  Status on(const dockerfile::Volume& volume);
  Status on(const dockerfile::User& user);
  Status on(const dockerfile::Workdir& workdir);
  Status on(const dockerfile::StopSignal& stop_signal);
  Status on(const dockerfile::Maintainer& maintainer);
  Status on(const dockerfile::HealthCheck& health_check);
  Status on(const dockerfile::Onbuild& onbuild);

  // RUN --mount, in stage_run.cc.
  Status add_mount(const dockerfile::Mount& written, api::RunStep& step);
  Result<api::SecretMount> secret_of(const dockerfile::Mount& mount) const;
  Result<api::BindMount> bind_of(const dockerfile::Mount& mount);
  Result<api::CacheMount> cache_of(const dockerfile::Mount& mount);
  api::SshMount ssh_of(const dockerfile::Mount& mount, int number) const;
  Result<std::string> mount_target(const dockerfile::Mount& mount) const;
  // COPY and ADD, in stage_copy.cc; both note what the history shows.
  Result<api::CopyStep> copy_of(const dockerfile::CopySources& sources, const std::string& shown, bool parents = false);
  Status add_remotes(const dockerfile::Add& add, api::CopyStep& step);
  Result<std::vector<std::pair<std::string, std::string>>> expand_pairs(
      const std::vector<dockerfile::KeyValue>& pairs) const;

  const dockerfile::Dockerfile& dockerfile_;
  const dockerfile::GlobalScope& globals_;
  dockerfile::StageScope scope_;
  Elsewhere elsewhere_;
  api::PlanStage& stage_;
  Place place_;
  const dockerfile::Instruction* instruction_ = nullptr;  // The one at hand.
  std::string created_by_;                                // What copy_of() found for the history.
  std::vector<Remote> remotes_;                           // Sources of the ADD at hand that are no paths.
  bool cmd_is_own_ = false;                               // This stage has a CMD: a later ENTRYPOINT keeps it.
};

}  // namespace imagebuild::build
