// Lists what a context that is a folder holds, with several threads.
#pragma once

#include <string>
#include <unordered_map>

#include "archive/file_version.h"
#include "archive/tree_index.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "dockerfile/ignore.h"

namespace imagebuild::builder {

struct FolderListing {
  archive::TreeIndex index;
  archive::FileVersions versions;  // Of the regular files, as they were when they were listed.
};

// Everything below `folder` but what the rules exclude; a folder that is excluded comes along with what is in it. Each
// folder is opened by its name in the one above, so that a link swapped in meanwhile leads nowhere. The first name of a
// file, in the order of the index, is the file; its others are hard links. The same for any number of threads; 0: two
// for each processor. Errors name the path.
Result<FolderListing> list_folder(UniqueFd folder, const dockerfile::IgnoreRules& rules, unsigned threads = 0);

}  // namespace imagebuild::builder
