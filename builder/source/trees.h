// Brings what a plan takes from elsewhere to the volume: downloads and checkouts of ADD, and named contexts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "api/plan.h"
#include "base/result.h"
#include "builder/source/fetch.h"
#include "builder/source/named_contexts.h"
#include "http/retry.h"

namespace imagebuild::builder {

struct TreesRequest {
  std::filesystem::path volume;
  std::string dockerfile_text;         // For errors that show a line.
  std::vector<NamedContext> contexts;  // All that were given.
  bool own_machine = false;  // Whoever builds runs this program: links in folders lead where they like, and SSH has
                             // that person's settings, keys and agent.
  std::uint64_t max_download_bytes = 64ULL << 30;
  http::RetryPolicy retry = {};
  http::RetrySeams retry_seams = {};
  std::stop_token stop;
};

// "download https://host/app.tar.gz": what fetching the tree does. No password, and nothing behind '?'.
std::string title_of(const api::FileTree& tree);

// Writes volume::tree_tar() and tree_index() of Plan::trees[tree]; nothing of it is there after an error. Returns
// warnings. Owners are root's.
//
// A download is one file, named as dockerfile::RemoteUrl says, with mode 0600 and the time of Last-Modified, else 1970
// (BuildKit's source/http). A checkout has modes as with umask 022 and the time of its commit. Errors begin with the
// place in the Dockerfile and show its line; codes as fetch_source() and download() have them.
Result<std::vector<api::Warning>> fetch_tree(const api::Plan& plan, int tree, const TreesRequest& request,
                                             const SourceSeams& seams);

// All of the plan's trees, one after the other; their warnings are added to the plan.
Status fetch_trees(api::Plan& plan, const TreesRequest& request, const SourceSeams& seams);

}  // namespace imagebuild::builder
