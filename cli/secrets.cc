#include "cli/secrets.h"

#include "base/file.h"
#include "base/nearest.h"

namespace imagebuild::cli {

Result<std::map<std::string, std::string>> read_secrets(const std::vector<SecretSource>& sources,
                                                        const Environment& environment) {
  constexpr std::uint64_t kMaxSecretBytes = 1U << 20;
  std::map<std::string, std::string> secrets;
  for (const SecretSource& source : sources) {
    if (!source.variable.empty()) {
      const std::optional<std::string> value = environment(source.variable);
      if (!value) {
        return Error{ErrorCode::kNotFound, "--secret: the environment variable '" + source.variable + "' of secret '" +
                                               source.id + "' is not set"};
      }
      secrets[source.id] = *value;
      continue;
    }
    ASSIGN_OR_RETURN(secrets[source.id], read_file(source.file, kMaxSecretBytes).in("--secret: '" + source.id + "'"));
  }
  return secrets;
}

Status check_required_secrets(const api::Plan& plan, const std::map<std::string, std::string>& secrets) {
  std::vector<std::string> given;
  for (const auto& [id, content] : secrets) given.push_back(id);
  for (const api::PlanStage& stage : plan.stages) {
    for (const api::Step& step : stage.steps) {
      const auto* run = std::get_if<api::RunStep>(&step.action);
      if (run == nullptr) continue;
      for (const api::SecretMount& secret : run->secrets) {
        if (!secret.required || secrets.contains(secret.id)) continue;
        const auto near = nearest(secret.id, given);
        return Error{
            ErrorCode::kInvalidInput,
            api::place(plan, step.at) + ": the RUN needs the secret '" + secret.id + "', which is not given" +
                (near ? "; did you mean '" + *near + "'?"
                      : "; add --secret id=" + secret.id + ",src=FILE or --secret id=" + secret.id + ",env=VARIABLE")};
      }
    }
  }
  return ok();
}

}  // namespace imagebuild::cli
