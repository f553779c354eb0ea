// What a Kubernetes API server keeps: objects with resourceVersions, the history watches are fed from, field owners.
// Pure memory, no sockets, no locks; fake_api_server.h speaks HTTP around it.
//
// Simplified: lists are atomic in server-side apply (the real one merges some by key); strategic merge patch is merge
// patch; a list's pages are not one snapshot; foreground deletion is finished at once; time stands still but for a
// counter; nothing checks an object's fields, but for a hook.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fakes/api_request.h"

namespace imagebuild::fakes {

// One change in the history.
struct ApiChange {
  long long version = 0;
  std::string collection;
  Json before, now;  // Null when there was, or is, nothing.
};

class FakeApiStore {
 public:
  // A hook that refuses what it does not like with 422: the causes, or nothing.
  using Validator = std::function<std::optional<Json>(const ApiTarget& target, const Json& object)>;
  Validator validator;

  ApiAnswer get(const ApiTarget& target) const;
  ApiAnswer list(const ApiTarget& target, const ApiSelector& selector, std::size_t limit,
                 const std::string& next) const;
  ApiAnswer create(const ApiTarget& target, Json object, const std::string& manager);
  ApiAnswer update(const ApiTarget& target, Json object, const std::string& manager);
  // `content_type` decides how.
  ApiAnswer patch(const ApiTarget& target, const std::string& content_type, const Json& patch,
                  const std::string& manager, bool force);
  ApiAnswer remove(const ApiTarget& target, const Json& options);

  long long version() const { return version_; }
  // Forgets the history: watches and continue tokens from before are gone (410).
  void compact() { compacted_ = version_; }
  long long compacted() const { return compacted_; }
  // Changes behind `version`.
  const std::vector<ApiChange>& history() const { return history_; }
  std::vector<Json> objects(const std::string& collection, const std::string& ns) const;
  // The event a watcher of `ns` with `selector` sees for this change; nothing if none.
  static std::optional<Json> event_of(const ApiChange& change, const std::string& ns, const ApiSelector& selector);

 private:
  using FieldPath = std::vector<std::string>;
  struct Stored {
    Json object;
    std::map<std::string, std::set<FieldPath>> owners;  // By manager.
  };
  using Collection = std::map<std::pair<std::string, std::string>, Stored>;  // By namespace and name.

  Stored* find(const ApiTarget& target);
  ApiAnswer apply(const ApiTarget& target, Json object, const std::string& manager, bool force);
  ApiAnswer store(const ApiTarget& target, Stored& stored, Json now, const std::string& manager);
  std::optional<ApiAnswer> check(const ApiTarget& target, const Json& object) const;
  void commit(const std::string& collection, const Json& before, Json& now);
  void erase(const std::string& collection, const std::pair<std::string, std::string>& key);
  void collect_dependents(const std::string& uid, bool orphan);
  std::string next_time();

  static void leaves(const Json& object, FieldPath& path, std::set<FieldPath>& into);
  static std::set<FieldPath> fields_of(const Json& object, const std::string& subresource);

  std::map<std::string, Collection> collections_;
  std::vector<ApiChange> history_;
  long long version_ = 100, compacted_ = 0, counter_ = 0;
};

}  // namespace imagebuild::fakes
