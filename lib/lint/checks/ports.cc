// How EXPOSE names ports.
#include <string>

#include "dockerfile/expand.h"
#include "dockerfile/lines.h"
#include "lint/checks/checks.h"

namespace imagebuild::lint {

namespace {

void check_port(const std::string& written, dockerfile::Position at, Findings& findings) {
  const std::size_t colon = written.rfind(':');
  const std::string container = colon == std::string::npos ? written : written.substr(colon + 1);
  if (const std::size_t slash = container.find('/'); slash != std::string::npos) {
    const std::string protocol = container.substr(slash + 1);
    if (protocol != dockerfile::lower(protocol)) {
      findings.add("ExposeProtoCasing", at,
                   "the protocol '" + protocol + "' has capital letters, which the image will not have; write '" +
                       dockerfile::lower(protocol) + "'");
    }
  }
  if (colon != std::string::npos && colon > 0) {
    findings.add("ExposeInvalidFormat", at,
                 "EXPOSE says what the container listens on, so the address or host port of '" + written +
                     "' has no effect; write '" + container + "'");
  }
}

}  // namespace

void check_ports(const Turn& turn, Findings& findings) {
  const auto* expose = std::get_if<dockerfile::Expose>(&turn.instruction.command);
  if (expose == nullptr) return;
  for (const dockerfile::Word& word : expose->ports) {
    const auto expanded = dockerfile::expand_words(word.text, turn.escape, turn.scope.lookup());
    if (!expanded.ok()) continue;
    for (const std::string& port : expanded->words) check_port(port, word.at, findings);
  }
}

}  // namespace imagebuild::lint
