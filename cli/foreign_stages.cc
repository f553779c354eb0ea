#include "cli/foreign_stages.h"

#include <sys/personality.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/step_label.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxHandlerBytes = 16384;

// What the header of a program for an architecture says (elf.h).
struct Elf {
  const char* architecture;
  bool is_64_bit;
  bool little_endian;
  std::uint16_t machine;
};
constexpr Elf kElfs[] = {{"amd64", true, true, 62},   {"386", false, true, 3},      {"arm64", true, true, 183},
                         {"arm", false, true, 40},    {"riscv64", true, true, 243}, {"ppc64le", true, true, 21},
                         {"ppc64", true, false, 21},  {"s390x", true, false, 22},   {"loong64", true, true, 258},
                         {"mips64le", true, true, 8}, {"mips64", true, false, 8},   {"mipsle", false, true, 8},
                         {"mips", false, false, 8}};

using Header = std::array<std::uint8_t, 20>;

// The beginning of an executable: identification, type ET_EXEC, machine.
std::optional<Header> header_of(const std::string& architecture) {
  const auto* const elf =
      std::ranges::find_if(kElfs, [&](const Elf& known) { return known.architecture == architecture; });
  if (elf == std::end(kElfs)) return std::nullopt;
  Header header{0x7f,
                'E',
                'L',
                'F',
                static_cast<std::uint8_t>(elf->is_64_bit ? 2 : 1),
                static_cast<std::uint8_t>(elf->little_endian ? 1 : 2),
                1};
  const auto put = [&](std::size_t at, std::uint16_t value) {
    const auto low = static_cast<std::uint8_t>(value & 0xff);
    const auto high = static_cast<std::uint8_t>(value >> 8);
    header[at] = elf->little_endian ? low : high;
    header[at + 1] = elf->little_endian ? high : low;
  };
  put(16, 2);
  put(18, elf->machine);
  return header;
}

std::optional<std::vector<std::uint8_t>> bytes_of_hex(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  if (text.size() % 2 != 0) return std::nullopt;
  for (std::size_t at = 0; at < text.size(); at += 2) {
    std::uint8_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 2, value, 16);
    if (error != std::errc() || end != text.data() + at + 2) return std::nullopt;
    bytes.push_back(value);
  }
  return bytes;
}

// A handler as the kernel shows it.
struct Handler {
  bool enabled = false;
  std::string flags;
  std::size_t offset = 0;
  std::vector<std::uint8_t> magic, mask;

  bool takes(const Header& header) const {
    if (magic.empty() || offset > header.size()) return false;
    const std::size_t count = std::min(magic.size(), header.size() - offset);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t bits = i < mask.size() ? mask[i] : 0xff;
      if ((header[offset + i] & bits) != (magic[i] & bits)) return false;
    }
    return true;
  }
};

std::optional<Handler> read_handler(const fs::path& file) {
  const Result<std::string> text = read_file(file, kMaxHandlerBytes);
  if (!text.ok()) return std::nullopt;
  Handler handler;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    const std::string value = line.substr(std::min(line.find(' ') + 1, line.size()));
    if (line == "enabled") handler.enabled = true;
    if (line.starts_with("flags:")) handler.flags = value;
    if (line.starts_with("offset ")) std::from_chars(value.data(), value.data() + value.size(), handler.offset);
    if (line.starts_with("magic ")) handler.magic = bytes_of_hex(value).value_or(std::vector<std::uint8_t>());
    if (line.starts_with("mask ")) handler.mask = bytes_of_hex(value).value_or(std::vector<std::uint8_t>());
  }
  return handler;
}

// How far the kernel is from running programs of an architecture.
struct Emulation {
  bool works = false;
  std::string hint;  // What to do about it.
};

std::string install_hint() {
  return "install an emulator that the kernel knows, as with 'apt-get install qemu-user-static'";
}

Emulation emulation_of(const std::string& architecture, const fs::path& binfmt) {
  const std::optional<Header> header = header_of(architecture);
  const Result<std::string> status = read_file(binfmt / "status", kMaxHandlerBytes);
  if (!header || !status.ok()) return {false, install_hint()};
  if (!status->starts_with("enabled")) {
    return {false, "switch the kernel's emulators on with 'echo 1 > " + (binfmt / "status").string() + "'"};
  }
  Emulation result{false, install_hint()};
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(binfmt, error), end; !error && it != end; it.increment(error)) {
    files.push_back(it->path());
  }
  std::ranges::sort(files);
  for (const fs::path& file : files) {
    const std::string name = file.filename().string();
    if (name == "status" || name == "register") continue;
    const std::optional<Handler> handler = read_handler(file);
    if (!handler || !handler->takes(*header)) continue;
    if (!handler->enabled) {
      result.hint = "switch the emulator on with 'echo 1 > " + file.string() + "'";
      continue;
    }
    // Without F the kernel looks for the emulator in the container, where it is not.
    if (handler->flags.find('F') != std::string::npos) return {true, ""};
    result.hint = "register the emulator " + name + " with the flag F, so that it works in containers, as Debian's " +
                  "qemu-user-static does";
  }
  return result;
}

// A 64-bit processor that runs its 32-bit programs too.
bool runs_natively(const oci::Platform& machine, const oci::Platform& programs) {
  if (!machine.accepts(programs)) return false;
  if (machine.architecture() != "arm64" || programs.architecture() != "arm") return true;
  const int before = ::personality(0xffffffff);
  if (before < 0 || ::personality(PER_LINUX32) < 0) return false;  // The kernel refuses where the processor cannot.
  ::personality(static_cast<unsigned long>(before));
  return true;
}

bool has_run(const api::PlanStage& stage) {
  return std::ranges::any_of(stage.steps,
                             [](const api::Step& step) { return std::holds_alternative<api::RunStep>(step.action); });
}

}  // namespace

Status check_platforms(const api::Plan& plan, const oci::Platform& machine, const fs::path& binfmt) {
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const api::PlanStage& stage = plan.stages[i];
    if (!has_run(stage)) continue;
    ASSIGN_OR_RETURN(const oci::Platform platform, oci::Platform::parse(stage.platform));
    if (runs_natively(machine, platform)) continue;
    Emulation emulation;
    if (machine.os() == platform.os()) emulation = emulation_of(platform.architecture(), binfmt);
    if (emulation.works) continue;
    return Error{ErrorCode::kUnsupported,
                 api::place(plan, stage.at) + ": stage '" + stage_title(plan, static_cast<int>(i)) +
                     "' runs programs for " + stage.platform + ", but this machine is " + machine.str() +
                     "; build it on such a machine" + (emulation.hint.empty() ? "" : ", " + emulation.hint) +
                     ", or let the stage run on this one with FROM --platform=$BUILDPLATFORM"};
  }
  return ok();
}

}  // namespace imagebuild::cli
