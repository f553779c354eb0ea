// Images whose name means another image tomorrow.
#include <string>

#include "lint/pitfalls/pitfalls.h"
#include "oci/reference.h"

namespace imagebuild::lint {

namespace {

void check(const dockerfile::Source& source, Findings& findings) {
  if (source.kind != dockerfile::SourceKind::kImage || source.name.starts_with("oci-layout://")) return;
  constexpr std::string_view kScheme = "docker-image://";
  const std::string name = source.name.starts_with(kScheme) ? source.name.substr(kScheme.size()) : source.name;
  const auto reference = oci::Reference::parse(name);
  if (!reference.ok() || reference->digest() || reference->tag() != "latest") return;
  std::string plain = name;
  if (plain.ends_with(":latest")) plain.resize(plain.size() - std::string_view(":latest").size());
  findings.add("UnpinnedBaseImage", source.at,
               "'" + name +
                   "' is the newest image of that name, so the same Dockerfile builds another image tomorrow; "
                   "write a version ('" +
                   plain + ":VERSION') or a digest ('" + plain + "@sha256:…')");
}

}  // namespace

void check_pins(const FileView& view, Findings& findings) {
  for (const StageView& stage : view.stages()) {
    if (!stage.needed) continue;
    check(stage.graph.base, findings);
    for (const dockerfile::Reference& reference : stage.graph.references) check(reference.source, findings);
  }
}

}  // namespace imagebuild::lint
