#include "lint/rules.h"

#include <algorithm>
#include <array>

namespace imagebuild::lint {

namespace {

// Sorted by name; find_rule() relies on it.
constexpr auto kRules = std::to_array<Rule>({
    {"StageNameCasing", "Stage names are written in lower case"},
});
static_assert(std::ranges::is_sorted(kRules, {}, &Rule::name));

}  // namespace

std::string Rule::page() const {
  return "docs/rules/" + std::string(name) + ".md";
}

std::span<const Rule> rules() {
  return kRules;
}

const Rule* find_rule(std::string_view name) {
  const auto found = std::ranges::lower_bound(kRules, name, {}, &Rule::name);
  return found != kRules.end() && found->name == name ? &*found : nullptr;
}

}  // namespace imagebuild::lint
