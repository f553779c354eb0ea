#include "builder/cache/stage_results.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <system_error>

#include "api/volume.h"
#include "base/file.h"
#include "base/stream.h"
#include "builder/cache/inputs_json.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;
namespace volume = api::volume;

// Files of a stage's folder, each looked at once. Layers are verified if `verify`.
class StageResults::FolderFiles {
 public:
  FolderFiles(const fs::path& folder, bool verify) : folder_(folder), verify_(verify) {}

  const fs::path& folder() const { return folder_; }

  // Nothing where there is no such file.
  Result<std::optional<CachedFile>> hashed(const std::string& path, const std::stop_token& stop) {
    if (const auto known = known_.find(path); known != known_.end()) return std::optional<CachedFile>(known->second);
    auto fd = open_file(folder_ / path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fd.ok()) {
      if (fd.error().code == ErrorCode::kNotFound) return std::optional<CachedFile>();
      return fd.error();
    }
    struct stat stat {};
    if (::fstat(fd->get(), &stat) != 0 || !S_ISREG(stat.st_mode)) {
      return Error{ErrorCode::kCorrupt, path + " is not a file any more"};
    }
    FileSource file(std::move(*fd));
    oci::Hasher hasher;
    CachedFile found{path, {}, 0};
    std::vector<std::byte> buffer(256 * 1024);
    while (true) {
      if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
      ASSIGN_OR_RETURN(const std::size_t count, file.read(buffer));
      if (count == 0) break;
      hasher.update(std::span(buffer).first(count));
      found.size_bytes += count;
    }
    found.digest = hasher.finish().str();
    known_.emplace(path, found);
    return std::optional<CachedFile>(std::move(found));
  }

  // The layer and its index.
  Status add(const api::LayerReport& layer, std::vector<CachedFile>& files, const std::stop_token& stop) {
    CachedFile promised{layer.file, layer.digest, layer.size_bytes};
    if (verify_) {
      ASSIGN_OR_RETURN(const std::optional<CachedFile> found, hashed(layer.file, stop));
      if (!found || *found != promised) {
        return Error{ErrorCode::kCorrupt, layer.file + " is not what the stage reported"};
      }
    }
    files.push_back(std::move(promised));
    return add(volume::layer_index(layer.step), files, stop);
  }

  Status add(const std::string& path, std::vector<CachedFile>& files, const std::stop_token& stop) {
    ASSIGN_OR_RETURN(std::optional<CachedFile> file, hashed(path, stop));
    if (file) files.push_back(std::move(*file));
    return ok();
  }

 private:
  const fs::path& folder_;
  bool verify_;
  std::map<std::string, CachedFile> known_;
};

namespace {

std::string title(const api::PlanStage& stage, int step) {
  return stage.name + ": " + stage.steps[static_cast<std::size_t>(step)].text;
}

// A kept report counts only the steps that its key counts, as another LABEL before them changes neither. Its files keep
// the names that they had.
api::StageReport counted_report(api::StageReport report, const std::vector<build::StepKey>& steps) {
  for (api::LayerReport& layer : report.layers) {
    const auto at = std::ranges::find(steps, layer.step, &build::StepKey::step);
    layer.step = static_cast<int>(at - steps.begin());
  }
  return report;
}

// "layers/3.tar.gz" → ".tar.gz"; empty for anything else.
std::string layer_suffix(const std::string& file) {
  constexpr std::string_view kFolder = "layers/";
  if (!file.starts_with(kFolder)) return {};
  const std::size_t end = std::min(file.find_first_not_of("0123456789", kFolder.size()), file.size());
  const std::string suffix = file.substr(end);
  return suffix.starts_with(".tar") ? suffix : std::string();
}

// Gives the layers of a kept report, and their files, the numbers that their steps have in this plan. False for a
// report that does not fit its files or these steps.
bool renumber(const std::vector<build::StepKey>& steps, CacheRecord& record, api::StageReport& report) {
  std::map<std::string, std::string> renamed;
  int last = -1;
  for (api::LayerReport& layer : report.layers) {
    const std::string suffix = layer_suffix(layer.file);
    const CachedFile promised{layer.file, layer.digest, layer.size_bytes};
    if (suffix.empty() || std::ranges::find(record.files, promised) == record.files.end()) return false;
    if (layer.step <= last || static_cast<std::size_t>(layer.step) >= steps.size()) return false;
    last = layer.step;
    layer.step = steps[static_cast<std::size_t>(layer.step)].step;
    const std::string index = layer.file.substr(0, layer.file.size() - suffix.size()) + ".index";
    renamed[index] = volume::layer_index(layer.step);
    layer.file = renamed[layer.file] = volume::layer_file(layer.step, suffix);
  }
  for (CachedFile& file : record.files) {
    if (const auto name = renamed.find(file.path); name != renamed.end()) file.path = name->second;
  }
  std::ranges::sort(record.files, {}, &CachedFile::path);
  return true;
}

// As stage_outline() has them.
build::StageInputs without_files(build::StageInputs inputs) {
  for (build::StepInputs& step : inputs.steps) {
    std::erase_if(step.inputs, [](const build::KeyInput& input) { return input.kind == build::InputKind::kFile; });
  }
  return inputs;
}

// Makes the stage's folder. Whoever was cut off may have left these files there, and what they tell of may be gone
// soon.
Status clear(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return system_error(folder.string(), error.value());
  for (const char* file : {volume::kReplay, volume::kReport}) fs::remove(folder / file, error);
  return ok();
}

// Takes the layers, not their indexes, out of the record.
LaterLayers take_layers(CacheStore& store, CacheRecord& record) {
  LaterLayers later{&store, {}};
  std::erase_if(record.files, [&](const CachedFile& file) {
    const bool is_layer = !layer_suffix(file.path).empty();
    if (is_layer) later.record.files.push_back(file);
    return is_layer;
  });
  return later;
}

bool has_exports(const CacheRecord& record) {
  return std::ranges::all_of(std::array{volume::kExportTar, volume::kExportIndex}, [&](const char* file) {
    return std::ranges::find(record.files, file, &CachedFile::path) != record.files.end();
  });
}

}  // namespace

oci::Digest StageResults::last_key(int stage) const {
  const api::PlanStage& it = plan_.stages[static_cast<std::size_t>(stage)];
  return oci::Digest::of("imagebuild last inputs\n" + places_.scope + "\n" + plan_.dockerfile + "\n" + it.name + "\n" +
                         it.platform);
}

// A place that fails is skipped, with a warning.
Result<std::optional<api::StageReport>> StageResults::fetch(const Wanted& wanted, const fs::path& folder,
                                                            const std::stop_token& stop, Restored& restored) const {
  for (CacheStore* const store : places_.from) {
    const auto ask = [&]() -> Result<std::optional<api::StageReport>> {
      ASSIGN_OR_RETURN(std::optional<CacheRecord> record, store->find(wanted.key, stop));
      if (!record) return std::optional<api::StageReport>();
      Result<api::StageReport> report = api::StageReport::parse(record->content);
      if (!report.ok() || report->failure) return std::optional<api::StageReport>();
      if (!renumber(wanted.steps, *record, *report)) return std::optional<api::StageReport>();
      if (wanted.has_exports && !has_exports(*record)) return std::optional<api::StageReport>();
      std::optional<LaterLayers> later;
      if (wanted.layers_later) later = take_layers(*store, *record);
      ASSIGN_OR_RETURN(const bool is_whole, store->fetch(*record, folder, stop));
      if (!is_whole) return std::optional<api::StageReport>();
      if (later && !later->record.files.empty()) restored.later = std::move(later);
      return std::optional<api::StageReport>(std::move(*report));
    };
    Result<std::optional<api::StageReport>> found = ask();
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (!found.ok()) {
      restored.warnings.push_back(found.error().in(store->name()));
    } else if (*found) {
      return found;
    }
  }
  return std::optional<api::StageReport>();
}

Result<bool> StageResults::restore_whole(int stage, const build::StageKeys& keys, const fs::path& folder,
                                         const std::stop_token& stop, Restored& restored) const {
  const api::PlanStage& it = plan_.stages[static_cast<std::size_t>(stage)];
  const Wanted wanted{*keys.stage, keys.steps, !it.exports.empty(), places_.layers_later};
  ASSIGN_OR_RETURN(std::optional<api::StageReport> report, fetch(wanted, folder, stop, restored));
  if (!report) return false;
  report->stage = it.name;  // It may have had another when it was kept.
  report->cached_steps = static_cast<int>(it.steps.size());
  RETURN_IF_ERROR(write_file_atomically(folder / volume::kReport, report->json()));
  restored.report = std::move(report);
  return true;
}

Result<bool> StageResults::restore_steps(const std::vector<build::StepKey>& steps, const fs::path& folder,
                                         const std::stop_token& stop, Restored& restored) const {
  const build::StepKey& step = steps.back();
  ASSIGN_OR_RETURN(std::optional<api::StageReport> report, fetch({step.key, steps, false}, folder, stop, restored));
  if (!report) return false;
  report->cached_steps = step.step + 1;
  RETURN_IF_ERROR(write_file_atomically(folder / volume::kReplay, report->json()));
  restored.steps = step.step + 1;
  return true;
}

Result<Restored> StageResults::restore(int stage, const build::StageInputs& inputs, const fs::path& folder,
                                       const std::stop_token& stop) const {
  Restored restored;
  build::StageKeys keys = build::keys_of(inputs);
  RETURN_IF_ERROR(clear(folder));
  if (keys.stage) {
    ASSIGN_OR_RETURN(const bool is_there, restore_whole(stage, keys, folder, stop, restored));
    if (is_there) return restored;
  }
  const std::size_t with_layers = api::steps_with_layers(plan_.stages[static_cast<std::size_t>(stage)]);
  for (; !keys.steps.empty(); keys.steps.pop_back()) {
    if (static_cast<std::size_t>(keys.steps.back().step) >= with_layers) continue;
    ASSIGN_OR_RETURN(const bool is_there, restore_steps(keys.steps, folder, stop, restored));
    if (is_there) break;
  }
  if (const auto before = last_inputs(stage, stop)) restored.change = build::first_change(*before, cut_values(inputs));
  return restored;
}

Result<std::optional<Restored>> StageResults::restore_nothing(int stage, const build::StageInputs& outline,
                                                              const fs::path& folder,
                                                              const std::stop_token& stop) const {
  if (may_have(stage, outline)) return std::optional<Restored>();
  Restored restored;
  if (const auto before = last_inputs(stage, stop)) {
    restored.change = build::first_change(without_files(*before), cut_values(outline));
    if (!restored.change) return std::optional<Restored>();
  }
  RETURN_IF_ERROR(clear(folder));
  return std::optional(std::move(restored));
}

bool StageResults::may_have(int stage, const build::StageInputs& outline) const {
  const build::StageKeys keys = build::keys_of(outline);
  const std::size_t with_layers = api::steps_with_layers(plan_.stages[static_cast<std::size_t>(stage)]);
  return std::ranges::any_of(places_.from, [&](const CacheStore* store) {
    if (keys.stage && store->may_have(*keys.stage)) return true;
    return std::ranges::any_of(keys.steps, [&](const build::StepKey& step) {
      return static_cast<std::size_t>(step.step) < with_layers && store->may_have(step.key);
    });
  });
}

std::optional<build::StageInputs> StageResults::last_inputs(int stage, const std::stop_token& stop) const {
  for (CacheStore* const store : places_.from) {
    const auto last = store->find(last_key(stage), stop);
    if (!last.ok() || !*last) continue;
    Result<build::StageInputs> before = parse_inputs((*last)->content);
    return before.ok() ? std::optional(std::move(*before)) : std::nullopt;
  }
  return std::nullopt;
}

// A place that fails does not keep the others from theirs.
Status StageResults::keep(int stage, const build::StageInputs& inputs, const api::StageReport& report,
                          const fs::path& folder, bool ran_commands, const std::stop_token& stop) const {
  FolderFiles files(folder, ran_commands);
  Status first = ok();
  for (CacheStore* const store : places_.to) {
    const Status kept = keep_in(*store, stage, inputs, report, files, stop);
    if (!kept.ok() && first.ok()) first = kept.error().in(store->name());
  }
  return first;
}

Status StageResults::keep_in(CacheStore& store, int stage, const build::StageInputs& inputs,
                             const api::StageReport& report, FolderFiles& files, const std::stop_token& stop) const {
  const api::PlanStage& it = plan_.stages[static_cast<std::size_t>(stage)];
  build::StageKeys keys = build::keys_of(inputs);
  const build::StageKeys outlines = build::keys_of(without_files(inputs));
  if (report.failure) {  // What was done before it is worth keeping.
    std::erase_if(keys.steps, [&](const build::StepKey& step) { return step.step >= report.failure->step; });
    keys.stage.reset();
  }
  const auto put = [&](const oci::Digest& key, CacheRecord record) {
    std::ranges::sort(record.files, {}, &CachedFile::path);
    return store.keep(key, record, files.folder(), stop);
  };
  const std::size_t with_layers = api::steps_with_layers(it);
  CacheRecord record;
  api::StageReport so_far;
  so_far.stage = report.stage;
  auto layer = report.layers.begin();
  for (std::size_t i = 0; i < keys.steps.size(); ++i) {
    const build::StepKey& step = keys.steps[i];
    if (static_cast<std::size_t>(step.step) >= with_layers) break;
    for (; layer != report.layers.end() && layer->step <= step.step; ++layer) {
      RETURN_IF_ERROR(files.add(*layer, record.files, stop));
      so_far.layers.push_back(*layer);
    }
    if (step.step < report.cached_steps) {
      RETURN_IF_ERROR(pass_on(step.key, store, files.folder(), stop));
      continue;
    }
    record.title = title(it, step.step);
    record.outline = outlines.steps[i].key.hex();
    record.content = counted_report(so_far, keys.steps).json();
    RETURN_IF_ERROR(put(step.key, record));
  }
  if (!keys.stage) return ok();
  api::StageReport whole = report;
  if (!it.keep_layers) {
    whole.layers.clear();
    record.files.clear();
  }
  if (!it.exports.empty()) {
    const std::size_t before = record.files.size();
    RETURN_IF_ERROR(files.add(volume::kExportTar, record.files, stop));
    RETURN_IF_ERROR(files.add(volume::kExportIndex, record.files, stop));
    if (record.files.size() != before + 2) return Error{ErrorCode::kCorrupt, "the stage's exports are gone"};
  }
  record.title = it.name + ": all of the stage";
  record.outline = outlines.stage->hex();
  record.content = counted_report(std::move(whole), keys.steps).json();
  RETURN_IF_ERROR(put(*keys.stage, record));
  return remember_in(store, stage, inputs, stop);
}

// What came from a cache lies in `stage_folder` only in part, and with the numbers of this plan.
Status StageResults::pass_on(const oci::Digest& key, CacheStore& to, const fs::path& stage_folder,
                             const std::stop_token& stop) const {
  CacheStore* const own = places_.from.empty() ? nullptr : places_.from.front();
  if (own == nullptr || own == &to) return ok();
  ASSIGN_OR_RETURN(const std::optional<CacheRecord> there, to.find(key, stop));
  if (there) return ok();
  const Result<std::optional<CacheRecord>> record = own->find(key, stop);
  if (!record.ok() || !*record) return ok();  // It came from elsewhere.
  ASSIGN_OR_RETURN(const TempDir folder, TempDir::create("passed-on-", stage_folder));
  const Result<bool> is_whole = own->fetch(**record, folder.path(), stop);
  if (!is_whole.ok() || !*is_whole) return ok();
  return to.keep(key, **record, folder.path(), stop);
}

Status StageResults::remember(int stage, const build::StageInputs& inputs, const std::stop_token& stop) const {
  for (CacheStore* const store : places_.to) {
    RETURN_IF_ERROR(remember_in(*store, stage, inputs, stop).in(store->name()));
  }
  return ok();
}

Status StageResults::remember_in(CacheStore& store, int stage, const build::StageInputs& inputs,
                                 const std::stop_token& stop) const {
  const std::string& name = plan_.stages[static_cast<std::size_t>(stage)].name;
  const CacheRecord record{name + ": what it was made from", inputs_json(inputs), {}};
  if (record.content.size() > CacheRecord::kMaxContentBytes) return ok();
  return store.keep(last_key(stage), record, {}, stop);
}

}  // namespace imagebuild::builder
