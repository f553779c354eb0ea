// The values of --output and --secret, as people write them: "key=value,key=value".
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "builder/publish/publish.h"

namespace imagebuild::cli {

// "type=registry", or "type=oci|oci-archive|docker-archive,dest=PATH". kInvalidInput says what is wrong and what was
// probably meant; kUnsupported for the types that other builders know and this one does not.
Result<builder::Output> parse_output(std::string_view text);

// Where one secret's content comes from: exactly one of the two is set.
struct SecretSource {
  std::string id;
  std::filesystem::path file;
  std::string variable;
  bool operator==(const SecretSource&) const = default;
};

// "id=ID,src=PATH" (source= and type=file mean the same), "id=ID,env=VAR", or "id=ID" alone: the variable of that
// name, as Docker does it.
Result<SecretSource> parse_secret(std::string_view text);

// "K=V" as it is; "K" alone: the caller's variable K, or nothing at all when it has none.
std::pair<std::string, std::string> split_assignment(std::string_view text);

}  // namespace imagebuild::cli
