// Progress for programs: one JSON object a line. Members: "time" (seconds since the build began, with milliseconds),
// "event", and by event:
//   planSolved     stages [{name, steps, needs}], target; of several images: targets [{stage, platform}]
//   jobStarted     job (a number), name        jobDone      job, cached
//   jobProgress    job, doneBytes, totalBytes  jobFailed    job, message (empty: given up)
//   stageStarted   stage (its name)            stageEnded   stage, outcome: "done", "failed" or "stopped"
//   stageCached    stage: its result is that of an earlier build
//   stepStarted    stage, step (an index from 0), line (in the Dockerfile), text
//   stepOutput     stage, step, stream (1 or 2), data
//   stepDone       stage, step, layerBytes
//   warning        text
//   built          for each image: digest, configDigest, names, baseBytes, newBytes, exportedBytes; target, where
//                  --target said it; an index has platforms [{platform, digest, configDigest}] and no configDigest
//   failed         code, message, and for a step: stage, step, line, exitCode, logTail
#pragma once

#include "cli/progress.h"

namespace imagebuild::cli {

class JsonView final : public View {
 public:
  explicit JsonView(TextSink out) : out_(std::move(out)) {}
  void show(const Event& event, Elapsed now) override;

 private:
  TextSink out_;
  const api::Plan* plan_ = nullptr;
};

}  // namespace imagebuild::cli
