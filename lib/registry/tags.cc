#include "registry/tags.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "registry/refusal.h"

namespace imagebuild::registry {
namespace {

using json = nlohmann::json;

constexpr std::uint64_t kMaxPageBytes = 16U << 20;
constexpr std::size_t kMaxTags = 1'000'000;
constexpr const char* kPageSize = "1000";

// Where the next page is: Link: </v2/a/tags/list?last=x>; rel="next" (RFC 8288). Other links do not matter.
std::optional<std::string> next_page(const http::Headers& headers) {
  const std::string link = headers.find("Link").value_or("");
  const std::size_t begin = link.find('<'), end = link.find('>');
  if (begin == link.npos || end == link.npos || end < begin) return std::nullopt;
  const std::string_view relation = std::string_view(link).substr(end);
  if (relation.find("rel=\"next\"") == relation.npos && relation.find("rel=next") == relation.npos) return std::nullopt;
  return link.substr(begin + 1, end - begin - 1);
}

Status add_tags(const Target& target, const std::string& body, std::set<std::string>& tags) {
  const json page = json::parse(body, nullptr, false);
  const auto list = page.is_object() ? page.find("tags") : page.end();
  if (!page.is_object() || list == page.end() || !(list->is_array() || list->is_null())) {
    return Error{ErrorCode::kCorrupt, "registry " + target.endpoint.name + " lists the tags of '" + target.repository +
                                          "' in a way that is not understood"};
  }
  for (const json& tag : *list) {
    if (tag.is_string()) tags.insert(tag.get<std::string>());
  }
  if (tags.size() <= kMaxTags) return ok();
  return Error{ErrorCode::kLimit,
               "the repository '" + target.repository + "' has more than " + std::to_string(kMaxTags) + " tags"};
}

}  // namespace

Result<std::vector<std::string>> list_tags(Wire& wire, const Target& target, const std::stop_token& stop) {
  std::set<std::string> tags;
  ASSIGN_OR_RETURN(http::Url url, target.url("tags/list"));
  url = url.with_query("n", kPageSize);
  while (true) {
    const http::Request request{.method = "GET", .url = url};
    ASSIGN_OR_RETURN(http::Response response,
                     wire.send_retrying(target, request, {pull_scope(target.repository)}, stop));
    if (response.status == 404) break;
    if (response.status != 200) {
      return refusal(wire.authorizer(), target, {.what = "to list the tags of '" + target.repository + "'"}, response);
    }
    ASSIGN_OR_RETURN(const std::string body, read_all(*response.body, kMaxPageBytes));
    const std::size_t before = tags.size();
    RETURN_IF_ERROR(add_tags(target, body, tags));
    const std::optional<std::string> next = next_page(response.headers);
    if (!next || tags.size() == before) break;  // Not in a circle.
    ASSIGN_OR_RETURN(url, url.resolve(*next));
    if (!url.same_origin(target.endpoint.base)) {
      return Error{ErrorCode::kCorrupt, "registry " + target.endpoint.name + " says that more tags of '" +
                                            target.repository + "' are on another server"};
    }
  }
  return std::vector<std::string>(tags.begin(), tags.end());
}

Status remove_manifest(Wire& wire, const Target& target, const oci::Digest& digest, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(http::Url url, target.url("manifests/" + digest.str()));
  const http::Request request{.method = "DELETE", .url = std::move(url)};
  ASSIGN_OR_RETURN(http::Response response,
                   wire.send_retrying(target, request, {delete_scope(target.repository)}, stop));
  if (response.status == 202 || response.status == 200 || response.status == 204 || response.status == 404) {
    drain(response);
    return ok();
  }
  const Error error = refusal(wire.authorizer(), target,
                              {.what = "the removal of a manifest from '" + target.repository + "'"}, response);
  if (error.code != ErrorCode::kUnsupported) return error;
  return Error{error.code, error.message + "; allow removing there, or let the registry remove old tags itself"};
}

}  // namespace imagebuild::registry
