// Names of users and groups, looked up in the stage's own /etc/passwd and /etc/group: never through the C library,
// which would load whatever the image's nsswitch.conf names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

// Who a RUN is.
struct Account {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;  // Supplementary, sorted; its own group is one of them.
  std::string home = "/";
};

struct Owner {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool operator==(const Owner&) const = default;
};

// USER's forms: "" (root), "name", "uid", each with ":group" or ":gid". Without a group it is the account's own with
// its supplementary groups; a number without an account has group 0. An unknown name is kNotFound.
Result<Account> resolve_user(const TreeView& root, std::string_view user);

// --chown's forms. A number without a group is its own group, a name without one has its account's.
Result<Owner> resolve_owner(const TreeView& root, std::string_view owner);

}  // namespace imagebuild::builder
