// COPY --from=build of the folder that the build ran in, of which the image uses few files.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "lint/pitfalls/images.h"
#include "lint/pitfalls/pitfalls.h"
#include "lint/pitfalls/shell_commands.h"

namespace imagebuild::lint {

namespace {

constexpr std::size_t kMostFiles = 5;  // Of a longer list it is not clear that it is all.

// A folder that the stage works in and that the context's files were copied to.
bool is_build_folder(const FileView& view, int stage, const std::string& folder) {
  bool worked_in = false;
  bool got_context = false;
  for (const int below : view.chain(stage)) {
    for (const StepView& step : view.at(below).steps) {
      worked_in = worked_in || step.workdir == folder;
      if (!step.copy || !step.copy->from_context || step.copy->sources.empty()) continue;
      const std::string& to = step.copy->destination;
      got_context = got_context || (!to.empty() && (to == folder || is_below(to, folder)));
    }
  }
  return worked_in && got_context;
}

bool has_extension(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.find('.') != std::string::npos;
}

// What the final image uses of one folder that was copied there.
class Uses {
 public:
  explicit Uses(std::string folder) : folder_(std::move(folder)) {}

  // False when it is not clear what is used.
  bool of_run(const StepView& step, const dockerfile::Run& run) {
    if (step.workdir == folder_ || is_below(step.workdir, folder_)) return false;
    for (const ShellCommand& command : commands_of(run.command)) {
      for (const std::string& word : command) {
        const std::size_t at = word.find(folder_);
        if (at == std::string::npos) continue;
        if (at != 0 || !is_below(word, folder_)) return false;
        if (word.find_first_of("*?[$") != std::string::npos) return false;
        add(word, step.line());
      }
    }
    return true;
  }

  bool of_program(const std::vector<std::string>& words, const std::string& workdir, int line) {
    if (words.empty() || is_interpreter(words.front())) return false;
    const std::string program =
        words.front().find('/') == std::string::npos ? words.front() : absolute(words.front(), workdir);
    if (!is_below(program, folder_) || has_extension(program)) return false;
    add(program, line);
    for (std::size_t i = 1; i < words.size(); ++i) {
      const std::size_t equals = words[i].find('=');  // --config=/src/app.conf
      const std::string value = words[i].substr(equals == std::string::npos ? 0 : equals + 1);
      if (value == folder_) return false;
      if (value.starts_with('/') && is_below(value, folder_)) add(value, line);
    }
    return true;
  }

  const std::vector<std::string>& files() const { return files_; }
  int line() const { return line_; }

 private:
  void add(const std::string& file, int line) {
    if (std::ranges::find(files_, file) == files_.end()) files_.push_back(file);
    line_ = line;
  }

  const std::string folder_;
  std::vector<std::string> files_;
  int line_ = 0;
};

class FolderChecker {
 public:
  FolderChecker(const FileView& view, Findings& findings) : view_(view), target_(view.target()), findings_(findings) {}

  void run() {
    for (std::size_t i = 0; i < target_.steps.size(); ++i) {
      const StepView& step = target_.steps[i];
      if (!step.copy || !step.copy->from || step.copy->from->kind != dockerfile::SourceKind::kStage) continue;
      if (step.copy->sources.size() != 1 || step.copy->destination.empty()) continue;
      check(step, i);
    }
  }

 private:
  void check(const StepView& step, std::size_t index) {
    const int from = step.copy->from->stage;
    const std::string source = absolute(step.copy->sources.front().path, "/");
    if (source == "/" || step.copy->destination == "/" || !is_build_folder(view_, from, source)) return;
    for (const int stage : {from, target_.stage.index}) {
      const dockerfile::Source* const image = view_.root_image(stage);
      if (image != nullptr && runs_interpreter(image->name)) return;
    }
    Uses uses(step.copy->destination);
    for (std::size_t i = index + 1; i < target_.steps.size(); ++i) {
      const dockerfile::Run* const run = target_.steps[i].run();
      if (run != nullptr && !uses.of_run(target_.steps[i], *run)) return;
    }
    const std::vector<std::string> program = view_.program(target_.stage.index);
    if (!uses.of_program(program, target_.workdir, line_of_program())) return;
    if (uses.files().size() <= kMostFiles) report(step, source, uses);
  }

  int line_of_program() const {
    int line = 0;
    for (const StepView& step : target_.steps) {
      const std::string_view keyword = dockerfile::keyword_of(step.instruction.command);
      if (keyword == "CMD" || keyword == "ENTRYPOINT") line = std::max(line, step.line());
    }
    return line;
  }

  void report(const StepView& step, const std::string& source, const Uses& uses) {
    const std::string& folder = step.copy->destination;
    std::string sources;
    std::vector<std::string> names;
    std::set<std::string> folders;
    for (const std::string& file : uses.files()) {
      const std::string rest = file.substr(folder.size());
      sources += source + rest + " ";
      names.push_back("'" + file + "'");
      folders.insert(file.substr(0, file.rfind('/') + 1));
    }
    const std::string to = uses.files().size() == 1 ? uses.files().front() : *folders.begin();
    const std::string line = uses.line() == 0 ? "" : " (line " + std::to_string(uses.line()) + ")";
    std::string fix = "COPY --from=" + step.copy->from_word + " " + sources + to;
    if (folders.size() > 1) fix = "a COPY --from=" + step.copy->from_word + " of each";
    findings_.add("WholeBuildFolderCopied", step.instruction.at,
                  "of the build folder '" + source + "' the image runs only " + listed(names) + line +
                      ", but takes its sources and intermediate files along; write " + fix);
  }

  const FileView& view_;
  const StageView& target_;
  Findings& findings_;
};

}  // namespace

void check_build_folders(const FileView& view, Findings& findings) {
  FolderChecker(view, findings).run();
}

}  // namespace imagebuild::lint
