#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "oci/member_files.h"

namespace imagebuild::oci {

namespace {

class FolderMembers final : public MemberFiles {
 public:
  explicit FolderMembers(UniqueFd root) : root_(std::move(root)) {}

  Result<Member> open(const std::string& path) const override {
    UniqueFd parent;
    std::size_t begin = 0;
    while (true) {
      const std::size_t end = std::min(path.find('/', begin), path.size());
      const std::string part = path.substr(begin, end - begin);
      if (part.empty() || part == "." || part == "..")
        return Error{ErrorCode::kCorrupt, path + " leads out of the folder"};
      const bool last = end == path.size();
      // O_NONBLOCK: a FIFO must not hold this program up.
      const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (last ? O_NONBLOCK : O_DIRECTORY);
      UniqueFd next(::openat(parent.valid() ? parent.get() : root_.get(), part.c_str(), flags));
      if (!next.valid()) {
        const int error = errno;
        if (error == ELOOP || error == ENOTDIR)
          return Error{ErrorCode::kCorrupt,
                       path + " goes through something that is not a folder (symlinks are not followed)"};
        return system_error(path, error);
      }
      if (last) return member(path, std::move(next));
      parent = std::move(next);
      begin = end + 1;
    }
  }

 private:
  static Result<Member> member(const std::string& path, UniqueFd file) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return system_error(path, errno);
    if (!S_ISREG(status.st_mode)) return Error{ErrorCode::kCorrupt, path + " is not a regular file"};
    const auto size = static_cast<std::uint64_t>(status.st_size);
    return Member{std::make_unique<FileSource>(std::move(file), 0, size), size};
  }

  UniqueFd root_;
};

}  // namespace

Result<std::string> MemberFiles::read(const std::string& path, std::uint64_t max_bytes) const {
  ASSIGN_OR_RETURN(const Member member, open(path));
  if (member.size_bytes > max_bytes) {
    return Error{ErrorCode::kLimit, path + " has " + std::to_string(member.size_bytes) + " bytes; at most " +
                                        std::to_string(max_bytes) + " are read"};
  }
  return read_all(*member.content, max_bytes).in(path);
}

Result<std::unique_ptr<MemberFiles>> open_folder_members(const std::filesystem::path& folder) {
  ASSIGN_OR_RETURN(UniqueFd root, open_file(folder, O_RDONLY | O_DIRECTORY));
  return std::unique_ptr<MemberFiles>(std::make_unique<FolderMembers>(std::move(root)));
}

}  // namespace imagebuild::oci
