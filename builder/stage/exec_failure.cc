#include "builder/stage/exec_failure.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/file.h"
#include "builder/stage/limits.h"
#include "oci/platform.h"

namespace imagebuild::builder {
namespace {

constexpr std::size_t kHeadBytes = 64 * 1024;

std::string head_of(const std::string& path) {
  std::string head(kHeadBytes, '\0');
  const auto fd = open_file(path, O_RDONLY | O_NONBLOCK);
  const ssize_t size = fd.ok() ? ::read(fd->get(), head.data(), head.size()) : -1;
  head.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return head;
}

bool exists(const std::string& path) {
  struct stat stat = {};
  return ::stat(path.c_str(), &stat) == 0;
}

template <class T>
bool read_at(std::string_view bytes, std::uint64_t at, T& value) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) return false;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return true;
}

template <class Header, class Segment>
std::optional<std::string> loader_of(std::string_view head) {
  Header header;
  if (!read_at(head, 0, header)) return std::nullopt;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Segment segment;
    if (!read_at(head, header.e_phoff + std::uint64_t{i} * header.e_phentsize, segment)) return std::nullopt;
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_offset >= head.size()) return std::nullopt;
    std::string_view text = head.substr(segment.p_offset, segment.p_filesz);
    return std::string(text.substr(0, text.find('\0')));
  }
  return std::nullopt;
}

bool is_elf(std::string_view head) {
  return head.size() >= EI_NIDENT && head.starts_with(ELFMAG);
}

ExecFailure failed(int exit_status, std::string message) {
  return {exit_status, Error{ErrorCode::kFailed, std::move(message)}};
}

ExecFailure not_there(const RunChild& child, const std::optional<std::string>& script) {
  const std::string& name = child.argv.front();
  if (script) {
    const auto interpreter = script_interpreter(*script);
    return failed(127, "the script starts with '#!" + interpreter.value_or("") +
                           "', but the image has no such program; use one that is there or another base");
  }
  for (const std::string& program : child.programs) {
    if (!exists(program)) continue;
    const std::string head = head_of(program);
    if (const auto interpreter = script_interpreter(head)) {
      return failed(127, "'" + program + "' is a script for '" + *interpreter + "', which the image does not have");
    }
    if (const auto loader = elf_loader(head)) {
      return failed(127, "'" + program + "' was found, but the loader it is linked to, '" + *loader +
                             "', is not in the image; link it statically or use a base with that C library");
    }
  }
  if (name == "/bin/sh") {
    return failed(127,
                  "the image has no /bin/sh: use the exec form (RUN [\"program\", \"argument\"]) or a base with "
                  "a shell");
  }
  return failed(
      127, "the image has no program '" + name + "'" + (name.find('/') == std::string::npos ? " in its PATH" : ""));
}

ExecFailure not_runnable(const std::string& program, const std::optional<std::string>& script, int error) {
  const std::string quoted = "'" + program + "'";
  struct stat stat = {};
  const bool known = ::stat(program.c_str(), &stat) == 0;
  if (error == EACCES) {
    if (script) return failed(126, "the script's interpreter cannot be run by this user");
    if (known && S_ISDIR(stat.st_mode)) return failed(126, quoted + " is a folder, not a program");
    return failed(126, quoted + " may not be run by this user: check its mode (chmod +x) and its folder's");
  }
  const std::string head = script ? *script : head_of(program);
  if (error == ENOEXEC) {
    if (const auto architecture = elf_architecture(head)) {
      return failed(126, quoted + " is a program for " + *architecture + ", but this machine is " +
                             oci::Platform::host().architecture() + "; take a base for this platform");
    }
    return failed(126, quoted + " is not a program: a script has to begin with a line such as '#!/bin/sh'");
  }
  return failed(126, quoted + " cannot be run: " + std::generic_category().message(error));
}

// The parents' mistakes are known before the child starts; what is left is the kernel's word about one mount point.
ExecFailure mount_failed(const RunChild& child, const RunChildFailure& failure) {
  if (failure.index < 0) return {0, system_error("cannot arrange the mounts of a RUN", failure.error)};
  const ChildMount& mount = child.mounts[static_cast<std::size_t>(failure.index)];
  const Error error = system_error("cannot mount something at '" + mount.target + "'", failure.error);
  if (failure.error == ENOTDIR || failure.error == ENOENT || failure.error == ENOSPC) {
    return failed(126, error.message);
  }
  return {0, Error{ErrorCode::kInternal, error.message}};
}

ExecFailure limit_failed(const ChildLimit& limit, int error) {
  const auto shown_value = [](std::uint64_t value) { return value == ~0ULL ? "unlimited" : std::to_string(value); };
  const std::string what = "the ulimit " + std::string(limit_name(limit.resource)) + "=" + shown_value(limit.soft) +
                           ":" + shown_value(limit.hard);
  if (error == EPERM) {
    return failed(126, what + " is more than this container may have: give a smaller hard limit");
  }
  return failed(126, what + " is not possible: " + std::generic_category().message(error));
}

}  // namespace

std::optional<std::string> script_interpreter(std::string_view head) {
  if (!head.starts_with("#!")) return std::nullopt;
  head = head.substr(2, head.find('\n') == std::string_view::npos ? head.npos : head.find('\n') - 2);
  const std::size_t begin = head.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return std::string();
  head.remove_prefix(begin);
  return std::string(head.substr(0, head.find_first_of(" \t\r")));
}

std::optional<std::string> elf_loader(std::string_view head) {
  if (!is_elf(head)) return std::nullopt;
  return head[EI_CLASS] == ELFCLASS64 ? loader_of<Elf64_Ehdr, Elf64_Phdr>(head)
                                      : loader_of<Elf32_Ehdr, Elf32_Phdr>(head);
}

std::optional<std::string> elf_architecture(std::string_view head) {
  std::uint16_t machine = 0;
  if (!is_elf(head) || !read_at(head, offsetof(Elf64_Ehdr, e_machine), machine)) return std::nullopt;
  if (head[EI_DATA] == ELFDATA2MSB) machine = static_cast<std::uint16_t>(machine << 8 | machine >> 8);
  switch (machine) {
    case EM_X86_64:
      return "amd64";
    case EM_386:
      return "386";
    case EM_AARCH64:
      return "arm64";
    case EM_ARM:
      return "arm";
    case EM_RISCV:
      return "riscv64";
    case EM_PPC64:
      return "ppc64le";
    case EM_S390:
      return "s390x";
    default:
      return "another architecture (ELF machine " + std::to_string(machine) + ")";
  }
}

ExecFailure explain(const RunChild& child, const RunChildFailure& failure, const std::optional<std::string>& script) {
  switch (failure.phase) {
    case RunPhase::kMounts:
      return mount_failed(child, failure);
    case RunPhase::kNetwork:
      return {126,
              Error{ErrorCode::kUnsupported,
                    "RUN --network=none cannot be had in this container, which may not make a network of its own (" +
                        std::generic_category().message(failure.error) +
                        "): build it on one machine with 'imagebuild build', or leave the flag out"}};
    case RunPhase::kLimits:
      return limit_failed(child.limits[static_cast<std::size_t>(failure.index)], failure.error);
    case RunPhase::kCapabilities:
      return {0, system_error("cannot set the capabilities of a RUN", failure.error)};
    case RunPhase::kUser:
      return failed(126, "the step cannot become user " + std::to_string(child.uid) + ":" + std::to_string(child.gid) +
                             ": " + std::generic_category().message(failure.error));
    case RunPhase::kWorkingDir:
      return failed(126, "the working folder '" + child.working_dir +
                             "' cannot be entered: " + std::generic_category().message(failure.error));
    case RunPhase::kExec:
      break;
  }
  if (failure.error == ENOENT || failure.error == ENOTDIR) return not_there(child, script);
  return not_runnable(child.programs[static_cast<std::size_t>(failure.index)], script, failure.error);
}

}  // namespace imagebuild::builder
