#include "container.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "api/volume.h"
#include "archive/tar_reader.h"
#include "archive/tree_index.h"
#include "base/unique_fd.h"
#include "builder/stage/layer_file.h"
#include "builder/stage/live_root.h"

namespace imagebuild::testing {
namespace {

namespace fs = std::filesystem;

void must(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  ::_exit(99);
}

void mount_or_die(const char* source, const std::string& target, const char* type, unsigned long flags,
                  const char* data = nullptr) {
  must(::mount(source, target.c_str(), type, flags, data) == 0, target.c_str());
}

void drop_admin() {
  must(::prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) == 0, "drop CAP_SYS_ADMIN");
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  must(::syscall(SYS_capget, &header, data) == 0, "capget");
  for (auto* set : {&data[0].permitted, &data[0].effective}) *set &= ~(1U << CAP_SYS_ADMIN);
  must(::syscall(SYS_capset, &header, data) == 0, "capset");
}

std::array<UniqueFd, 2> make_pipe() {
  int ends[2];
  must(::pipe2(ends, O_CLOEXEC) == 0, "pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

archive::TreeIndex index_of(const fs::path& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  builder::LiveRoot root(UniqueFd(::dup(fd.get())), {});
  archive::TreeIndex index;
  (void)root.walk("", [&](const builder::Found& found) {
    index.put(found.node);
    return ok();
  });
  return index;
}

}  // namespace

namespace {

std::optional<std::string> what_is_missing() {
  if (::geteuid() != 0) return "needs root";
  if (!fs::exists("/bin/busybox")) return "needs /bin/busybox (package busybox-static)";
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(::unshare(CLONE_NEWNS | CLONE_NEWPID) == 0 ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status != 0) return "may not make namespaces";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> why_no_containers() {
  std::optional<std::string> missing = what_is_missing();
  if (missing && std::getenv("CI") != nullptr) ADD_FAILURE() << "in CI nothing may be missing: " << *missing;
  return missing;
}

Container::Container() : folder_(*TempDir::create("stage-container-")) {
  for (const char* name : {"base", "volume", "upper", "work", "merged", "empty"}) {
    fs::create_directories(folder_.path() / name);
  }
  fs::permissions(folder_.path(), fs::perms(0755));
  plan.dockerfile = "Dockerfile";
  plan.epoch_s = 1'700'000'000;
  api::BaseImage image;
  image.name = "base";
  image.config_json = R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})";
  plan.images.push_back(image);
  api::PlanStage stage;
  stage.name = "app";
  stage.at = {1, 1};
  stage.base = api::OnImage{0};
  stage.platform = "linux/amd64";
  stage.keep_layers = true;
  stage.needs_container = true;
  plan.stages.push_back(stage);
}

void Container::add(const std::string& path, const std::string& content, unsigned mode) {
  fs::create_directories((base() / path).parent_path());
  (void)write_file_atomically(base() / path, content, mode);
  ::chmod((base() / path).c_str(), mode);
}

void Container::add_busybox() {
  fs::create_directories(base() / "bin");
  fs::copy_file("/bin/busybox", base() / "bin/busybox");
  for (const char* name : {"sh", "ls",     "cat",  "echo",  "mkdir", "rm",    "mv",  "ln",    "touch", "chmod", "chown",
                           "id", "env",    "pwd",  "sleep", "true",  "false", "ps",  "kill",  "test",  "cp",    "stat",
                           "dd", "setsid", "head", "mknod", "find",  "grep",  "seq", "mount", "umount"}) {
    fs::create_symlink("busybox", base() / "bin" / name);
  }
  add("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n");
  add("etc/group", "root:x:0:\napp:x:1000:\nextra:x:2000:app\n");
  fs::create_directories(base() / "tmp");
  fs::permissions(base() / "tmp", fs::perms(01777));
}

void Container::add_step(decltype(api::Step::action) action) {
  api::Step step;
  step.at = {static_cast<int>(stage().steps.size()) + 2, 1};
  step.text = "step " + std::to_string(stage().steps.size() + 1);
  step.action = std::move(action);
  stage().steps.push_back(std::move(step));
}

void Container::add_run(const std::string& shell_line, const std::function<void(api::RunStep&)>& change) {
  api::RunStep run;
  run.argv = {"/bin/sh", "-c", shell_line};
  run.env = {"PATH=/bin"};
  run.working_dir = "/";
  if (change) change(run);
  add_step(run);
}

void Container::write_volume() {
  plan.targets = {api::PlanTarget{static_cast<int>(plan.stages.size()) - 1, "linux/amd64", ""}};
  fs::create_directories(volume() / "bin");
  fs::copy_file(IMAGEBUILD_STAGE_PROGRAM, volume() / api::volume::kStageProgram, fs::copy_options::overwrite_existing);
  (void)write_file_atomically(volume() / api::volume::kPlan, plan.json());
  fs::create_directories(volume() / "bases");
  (void)index_of(base()).save(volume() / api::volume::base_index(0));
}

void Container::become_container(int report_fd, int output_fd) const {
  const std::string root = (folder_.path() / "merged").string();
  mount_or_die(nullptr, "/", nullptr, MS_REC | MS_PRIVATE);
  const std::string layers = "lowerdir=" + base().string() + ",upperdir=" + upper().string() +
                             ",workdir=" + (folder_.path() / "work").string();
  mount_or_die("overlay", root, "overlay", 0, layers.c_str());
  const auto make_folder = [&](const std::string& path) {
    fs::create_directories(root + "/" + path);
    return root + "/" + path;
  };
  if (has_proc) mount_or_die("proc", make_folder("proc"), "proc", MS_NOSUID);
  mount_or_die("tmpfs", make_folder("dev"), "tmpfs", MS_NOSUID, "mode=0755");
  UniqueFd(::open((root + "/dev/null").c_str(), O_CREAT | O_WRONLY, 0666)).reset();
  mount_or_die("/dev/null", root + "/dev/null", nullptr, MS_BIND);
  const std::string file = (folder_.path() / "runtime-file").string();
  (void)write_file_atomically(file, "made by the runtime\n");
  for (const std::string& mount : runtime_mounts) {
    if (mount.ends_with('/')) {
      mount_or_die("tmpfs", make_folder(mount), "tmpfs", 0);
    } else {
      make_folder(fs::path(mount).parent_path().string());
      UniqueFd(::open((root + "/" + mount).c_str(), O_CREAT | O_WRONLY, 0644)).reset();
      mount_or_die(file.c_str(), root + "/" + mount, nullptr, MS_BIND);
    }
  }
  mount_or_die(volume().c_str(), make_folder(".imagebuild"), nullptr, MS_BIND);
  must(::chdir(root.c_str()) == 0, "chdir");
  must(::syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  must(::umount2(".", MNT_DETACH) == 0, "umount");
  must(::chdir("/") == 0, "chdir");
  if (!has_admin) drop_admin();
  ::dup2(output_fd, 1);
  ::dup2(output_fd, 2);
  std::vector<std::string> arguments = {"/.imagebuild/bin/imagebuild-stage",
                                        "--volume",
                                        "/.imagebuild",
                                        "--stage",
                                        std::to_string(plan.stages.size() - 1),
                                        "--threads",
                                        "1"};
  if (writes_report_fd) {
    must(::dup2(report_fd, 7) == 7, "dup2");
    arguments.insert(arguments.end(), {"--report-fd", "7"});
  }
  std::vector<char*> argv, env;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  for (const std::string& entry : environment) env.push_back(const_cast<char*>(entry.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  ::execve(argv[0], argv.data(), env.data());
  must(false, "exec");
  ::_exit(99);
}

Outcome Container::run() {
  write_volume();
  auto [report_read, report_write] = make_pipe();
  auto [output_read, output_write] = make_pipe();
  auto [pid_read, pid_write] = make_pipe();
  const pid_t outer = ::fork();
  if (outer == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    report_read.reset();
    output_read.reset();
    must(::unshare(CLONE_NEWNS | CLONE_NEWPID) == 0, "unshare");
    const pid_t inner = ::fork();
    if (inner == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
      become_container(report_write.get(), output_write.get());
    }
    must(::write(pid_write.get(), &inner, sizeof(inner)) == sizeof(inner), "write");
    report_write.reset();
    output_write.reset();
    int status = 0;
    must(::waitpid(inner, &status, 0) == inner, "waitpid");
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  report_write.reset();
  output_write.reset();
  pid_t inner = 0;
  if (::read(pid_read.get(), &inner, sizeof(inner)) != sizeof(inner)) return {};
  if (on_start) on_start(inner);

  Outcome outcome;
  std::string lines, printed;
  while (report_read.valid() || output_read.valid()) {
    std::array<struct pollfd, 2> fds = {{{report_read.get(), POLLIN, 0}, {output_read.get(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), -1);
    std::array<char, 65536> buffer;
    if (fds[1].revents != 0) {
      const ssize_t size = ::read(output_read.get(), buffer.data(), buffer.size());
      if (size <= 0) output_read.reset();
      if (size > 0) printed.append(buffer.data(), static_cast<std::size_t>(size));
    }
    if (fds[0].revents == 0) continue;
    const ssize_t size = ::read(report_read.get(), buffer.data(), buffer.size());
    if (size <= 0) report_read.reset();
    if (size <= 0) continue;
    lines.append(buffer.data(), static_cast<std::size_t>(size));
    for (std::size_t end = 0; (end = lines.find('\n')) != std::string::npos; lines.erase(0, end + 1)) {
      auto event = api::parse_event(lines.substr(0, end));
      if (!event.ok()) continue;
      if (const auto* output = std::get_if<api::StepOutput>(&*event)) outcome.output += output->data;
      if (on_event) on_event(*event, inner);
      outcome.events.push_back(std::move(*event));
      if (close_report_after_first_event) report_read.reset();
    }
  }
  outcome.output += printed;
  int status = 0;
  ::waitpid(outer, &status, 0);
  outcome.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const auto report = volume() / api::volume::stage_folder(static_cast<int>(plan.stages.size()) - 1) / "report.json";
  if (const auto text = read_file(report, 1U << 24); text.ok()) {
    if (auto parsed = api::StageReport::parse(*text); parsed.ok()) outcome.report = std::move(*parsed);
  }
  return outcome;
}

LayerFiles Container::layer(const Outcome& outcome, int step) const {
  LayerFiles files;
  if (!outcome.report) return files;
  for (const api::LayerReport& layer : outcome.report->layers) {
    if (layer.step != step) continue;
    const auto folder = volume() / api::volume::stage_folder(static_cast<int>(plan.stages.size()) - 1);
    auto tar = builder::open_layer_file(folder, layer);
    if (!tar.ok()) return files;
    auto reader = archive::TarReader::open(**tar);
    while (reader.ok()) {
      auto node = reader->next();
      if (!node.ok() || !*node) break;
      LayerFile file{**node, ""};
      if (file.node.type == archive::NodeType::kFile) file.content = *read_all(reader->content(), 1U << 26);
      files.emplace(file.node.path, std::move(file));
    }
  }
  return files;
}

}  // namespace imagebuild::testing
