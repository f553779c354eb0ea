#include "build/cluster_fit.h"
#include "build/reconciler.h"

namespace imagebuild::build {

namespace {

// Long texts are the user's: a variable's value, a command.
constexpr std::size_t kMaxWarningBytes = 512;

void add(std::vector<api::WarningStatus>& to, const api::Warning& warning) {
  to.push_back({.rule = warning.rule,
                .message = api::shortened(warning.message, kMaxWarningBytes),
                .line = warning.at.line,
                .column = warning.at.column});
}

}  // namespace

// A plan that cannot be built in this cluster ends its build before anything runs.
void Reconciler::check_fit() {
  if (!planned() || failed_ || spec_.cancel) return;
  const auto misfit = find_misfit(*observed_.plan, spec_);
  if (!misfit) return;
  fail(misfit->stage, misfit->reason, misfit->message);
  next_.failure->line = misfit->line;
  next_.failure->step = misfit->step;
}

// The plan's, the cluster's, and what was found in the image by the pod that told of it.
void Reconciler::list_warnings() {
  if (!planned()) return;
  std::vector<api::WarningStatus> found;
  for (const api::Warning& warning : observed_.plan->warnings) add(found, warning);
  for (const api::Warning& warning : cluster_warnings(*observed_.plan, spec_)) add(found, warning);
  for (const Pod* pod : {prepare_.pod, publish_.pod}) {
    if (pod == nullptr || !pod->told) continue;
    for (const api::Warning& warning : pod->told->warnings) add(found, warning);
  }
  if (found.size() > api::kMaxWarnings) {
    const std::size_t more = found.size() - api::kMaxWarnings + 1;
    found.resize(api::kMaxWarnings - 1);
    found.push_back(
        {.message = "and " + std::to_string(more) + " more; `imagebuild lint` shows all of the Dockerfile"});
  }
  next_.warnings = std::move(found);
}

}  // namespace imagebuild::build
