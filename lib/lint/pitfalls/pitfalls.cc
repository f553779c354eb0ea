#include "lint/pitfalls/pitfalls.h"

namespace imagebuild::lint {

namespace {

using PitfallCheck = void (*)(const FileView&, Findings&);
constexpr PitfallCheck kChecks[] = {check_stages,        check_pins,        check_copy_order, check_secret_files,
                                    check_build_folders, check_build_tools, check_base_size};

}  // namespace

void check_pitfalls(const LintInput& input, Findings& findings) {
  const std::optional<FileView> view = FileView::of(input);
  if (!view) return;
  for (const PitfallCheck run : kChecks) run(*view, findings);
}

}  // namespace imagebuild::lint
