#include "cli/output_spec.h"

#include <optional>

#include "cli/spec_fields.h"

namespace imagebuild::cli {

namespace {

using Kind = builder::Output::Kind;

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidInput, std::move(message)};
}

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

Result<Kind> parse_kind(const std::string& type) {
  if (type == "registry") return Kind::kRegistry;
  if (type == "oci") return Kind::kOciLayout;
  if (type == "oci-archive") return Kind::kOciArchive;
  if (type == "docker-archive") return Kind::kDockerArchive;
  if (type == "docker") {
    return Error{ErrorCode::kUnsupported,
                 "--output: type 'docker' is not supported; use type=docker-archive,dest=FILE and 'docker load' it"};
  }
  if (type == "local" || type == "tar" || type == "image") {
    return Error{ErrorCode::kUnsupported, "--output: type " + in_quotes(type) +
                                              " is not supported; it can be registry, oci, oci-archive or "
                                              "docker-archive"};
  }
  return invalid("--output: unknown type " + in_quotes(type) +
                 did_you_mean(type, {"registry", "oci", "oci-archive", "docker-archive"}));
}

}  // namespace

Result<builder::Output> parse_output(std::string_view text) {
  if (text == "-" || text.find('=') == std::string_view::npos) {
    return invalid("--output: expected type=registry, or type=oci, oci-archive or docker-archive with dest=PATH, not " +
                   in_quotes(text));
  }
  ASSIGN_OR_RETURN(const std::vector<SpecField> fields, parse_spec_fields("--output", text, {"type", "dest"}));
  const std::optional<std::string> type = spec_value(fields, "type");
  if (!type) return invalid("--output: " + in_quotes(text) + " has no type=");
  builder::Output output;
  ASSIGN_OR_RETURN(output.kind, parse_kind(*type));
  const std::optional<std::string> destination = spec_value(fields, "dest");
  if (output.kind == Kind::kRegistry) {
    if (destination) return invalid("--output: type=registry takes no dest=; name the image with -t");
    return output;
  }
  if (!destination) return invalid("--output: type=" + *type + " needs dest=PATH");
  if (*destination == "-") {
    return Error{ErrorCode::kUnsupported, "--output: dest=- (standard output) is not supported; name a file"};
  }
  output.destination = *destination;
  return output;
}

Result<SecretSource> parse_secret(std::string_view text) {
  ASSIGN_OR_RETURN(const std::vector<SpecField> fields,
                   parse_spec_fields("--secret", text, {"id", "src", "source", "env", "type"}));
  SecretSource secret;
  const std::optional<std::string> id = spec_value(fields, "id");
  if (!id) return invalid("--secret: " + in_quotes(text) + " has no id=");
  secret.id = *id;
  const std::optional<std::string> type = spec_value(fields, "type");
  if (type && *type != "file" && *type != "env") {
    return invalid("--secret: unknown type " + in_quotes(*type) + did_you_mean(*type, {"file", "env"}));
  }
  const std::optional<std::string> source =
      spec_value(fields, "src") ? spec_value(fields, "src") : spec_value(fields, "source");
  if (spec_value(fields, "src") && spec_value(fields, "source"))
    return invalid("--secret: src= and source= mean the same; give one");
  const std::optional<std::string> variable = spec_value(fields, "env");
  if (source && variable) return invalid("--secret: give src= or env= for " + in_quotes(secret.id) + ", not both");
  if (variable || type == "env" || (!source && !type)) {
    secret.variable = variable.value_or(source.value_or(secret.id));
    return secret;
  }
  if (!source) return invalid("--secret: " + in_quotes(text) + " has no src=");
  secret.file = *source;
  return secret;
}

std::pair<std::string, std::string> split_assignment(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return {std::string(text), ""};
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

}  // namespace imagebuild::cli
