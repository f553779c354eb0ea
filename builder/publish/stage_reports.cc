#include "builder/publish/stage_reports.h"

#include <string>
#include <utility>

#include "api/volume.h"
#include "base/file.h"

namespace imagebuild::builder {

namespace volume = api::volume;

namespace {
constexpr std::uint64_t kMaxJsonBytes = 256U << 20;
}  // namespace

Result<api::Plan> read_plan(const std::filesystem::path& root) {
  ASSIGN_OR_RETURN(const std::string text, read_file(root / volume::kPlan, kMaxJsonBytes));
  return api::Plan::parse(text);
}

Result<std::vector<api::StageReport>> read_stage_reports(const api::Plan& plan, const std::filesystem::path& root) {
  std::vector<api::StageReport> reports;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const std::string where = "stage '" + plan.stages[i].name + "'";
    const auto text = read_file(root / volume::stage_folder(static_cast<int>(i)) / volume::kReport, kMaxJsonBytes);
    if (!text.ok() && text.error().code == ErrorCode::kNotFound) {
      return Error{ErrorCode::kInvalidInput, where + " has not run"};
    }
    if (!text.ok()) return text.error().in(where);
    ASSIGN_OR_RETURN(api::StageReport report, api::StageReport::parse(*text).in(where));
    if (report.failure) return Error{ErrorCode::kFailed, where + " failed"};
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace imagebuild::builder
