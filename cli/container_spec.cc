#include "cli/container_spec.h"

#include <nlohmann/json.hpp>

namespace imagebuild::cli {

namespace {

using Json = nlohmann::ordered_json;

// Docker's default set, then ours.
const std::vector<std::string>& capabilities() {
  static const std::vector<std::string> kNames = {
      "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",      "CAP_FOWNER",           "CAP_MKNOD",
      "CAP_NET_RAW", "CAP_SETGID",       "CAP_SETUID",      "CAP_SETFCAP",          "CAP_SETPCAP",
      "CAP_KILL",    "CAP_SYS_CHROOT",   "CAP_AUDIT_WRITE", "CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN"};
  return kNames;
}

Json mount(const std::string& target, const std::string& type, const std::string& source,
           std::vector<std::string> options) {
  return {{"destination", target}, {"type", type}, {"source", source}, {"options", std::move(options)}};
}

Json mounts(const ContainerSpec& spec) {
  Json list = Json::array();
  list.push_back(mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}));
  list.push_back(mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}));
  list.push_back(mount("/dev/pts", "devpts", "devpts",
                       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}));
  const std::string shm = spec.shm_bytes == 0 ? "65536k" : std::to_string(spec.shm_bytes);
  list.push_back(mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=" + shm}));
  list.push_back(mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}));
  list.push_back(mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}));
  for (const Bind& bind : spec.binds) {
    list.push_back(
        mount(bind.target, "bind", bind.source.string(), {"rbind", "rprivate", bind.writable ? "rw" : "ro"}));
  }
  return list;
}

// Device nodes may be made, none but the usual ones may be opened; the runtime adds those.
Json devices() {
  return Json::array({{{"allow", false}, {"access", "rwm"}},
                      {{"allow", true}, {"type", "c"}, {"access", "m"}},
                      {{"allow", true}, {"type", "b"}, {"access", "m"}}});
}

}  // namespace

std::string container_config(const ContainerSpec& spec) {
  std::vector<std::string> names = capabilities();
  names.insert(names.end(), spec.more_capabilities.begin(), spec.more_capabilities.end());
  const Json process = {{"terminal", false},
                        {"user", {{"uid", 0}, {"gid", 0}}},
                        {"args", spec.arguments},
                        {"env", {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
                        {"cwd", "/"},
                        {"capabilities", {{"bounding", names}, {"effective", names}, {"permitted", names}}},
                        {"noNewPrivileges", false}};
  const Json linux = {
      {"cgroupsPath", spec.cgroup},
      {"resources", {{"devices", devices()}}},
      {"namespaces", {{{"type", "pid"}}, {{"type", "ipc"}}, {{"type", "uts"}}, {{"type", "mount"}}}},
      {"maskedPaths",
       {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}},
      {"readonlyPaths", {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}};
  const Json config = {{"ociVersion", "1.0.2"},
                       {"process", process},
                       {"root", {{"path", spec.root.string()}, {"readonly", false}}},
                       {"hostname", spec.hostname},
                       {"mounts", mounts(spec)},
                       {"linux", linux}};
  return config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace imagebuild::cli
