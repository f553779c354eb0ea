// What both commands of imagebuild-builder do alike.
#pragma once

#include <functional>
#include <iostream>
#include <string>

#include "api/told.h"
#include "base/error.h"
#include "base/result.h"
#include "builder/job/job.h"
#include "builder/report/reporter.h"

namespace imagebuild::builder {

// Says on stderr what went wrong; the exit status.
inline int report(const Status& status) {
  if (status.ok()) return kExitOk;
  std::cerr << "imagebuild-builder: error: " << status.error().message << "\n";
  return status.error().exit_status();
}

inline void log_line(const std::string& line) {
  std::cout << line << std::endl;
}

// Tells how a job ended wherever somebody may listen; the exit status.
inline int finish(Reporter& reporter, const api::Told& told) {
  if (told.failure) {
    std::cerr << "imagebuild-builder: error: " << told.failure->message << "\n";
    for (const std::string& line : told.failure->log_tail) std::cerr << line << "\n";
  }
  reporter.finish(told, true);
  return exit_status_of(told);
}

// The job of `file`, or what to tell about it.
inline Result<Job> open_job(const std::string& file, const std::string& volume, const std::string& mounts) {
  ASSIGN_OR_RETURN(api::ImageBuild build, read_job(file));
  return Job{std::move(build), volume, mounts};
}

}  // namespace imagebuild::builder
