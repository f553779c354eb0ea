// git for a test's own purposes, away from the settings of whoever runs the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/process.h"

namespace imagebuild::builder {

// Runs `git WORDS` in a folder and expects that it succeeds; returns its output without the line ends behind it. What
// it commits is of one author and one time.
inline std::string run_git(const std::filesystem::path& folder, const std::filesystem::path& home,
                           const std::vector<std::string>& words) {
  ProcessSpec spec;
  spec.argv = {"git",
               "-C",
               folder.string(),
               "-c",
               "user.name=A",
               "-c",
               "user.email=a@example.org",
               "-c",
               "init.defaultBranch=main",
               "-c",
               "protocol.file.allow=always"};
  spec.argv.insert(spec.argv.end(), words.begin(), words.end());
  const char* path = std::getenv("PATH");
  spec.environment = {std::string("PATH=") + (path == nullptr ? "/usr/bin:/bin" : path), "HOME=" + home.string(),
                      "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_DATE=1700000000 +0000",
                      "GIT_COMMITTER_DATE=1700000000 +0000"};
  const auto result = SystemProcessRunner().run(spec);
  EXPECT_TRUE(result.ok() && result->exit_status == 0)
      << words.front() << ": " << (result.ok() ? result->stderr_text : result.error().message);
  std::string text = result.ok() ? result->stdout_text : "";
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace imagebuild::builder
