#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <thread>

#include "base/file.h"
#include "base/unique_fd.h"

namespace imagebuild {
namespace {

ProcessSpec shell(const std::string& script) {
  ProcessSpec spec;
  spec.argv = {"/bin/sh", "-c", script};
  return spec;
}

Result<ProcessResult> run(const ProcessSpec& spec, std::stop_token stop = {}) {
  SystemProcessRunner runner;
  return runner.run(spec, std::move(stop));
}

TEST(Process, CollectsBothStreamsAndTheStatus) {
  const Result<ProcessResult> result = run(shell("echo out; echo err >&2; exit 3"));
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->exit_status, 3);
  EXPECT_EQ(result->stdout_text, "out\n");
  EXPECT_EQ(result->stderr_text, "err\n");
}

TEST(Process, FindsTheProgramInPath) {
  ProcessSpec spec;
  spec.argv = {"true"};
  EXPECT_EQ(run(spec)->exit_status, 0);
}

TEST(Process, PassesArgumentsAsTheyAre) {
  ProcessSpec spec = shell("printf '%s|' \"$@\"");
  spec.argv.insert(spec.argv.end(), {"sh", "a b", "$HOME", "", "\"q\""});
  EXPECT_EQ(run(spec)->stdout_text, "a b|$HOME||\"q\"|");
}

TEST(Process, CountsASignalAsShellsDo) {
  EXPECT_EQ(run(shell("kill -KILL $$"))->exit_status, 137);
}

TEST(Process, GivesOnlyTheEnvironmentAskedFor) {
  ProcessSpec spec = shell("echo \"$A-${HOME-none}\"");
  spec.environment = std::vector<std::string>{"A=1"};
  EXPECT_EQ(run(spec)->stdout_text, "1-none\n");
}

TEST(Process, InheritsTheEnvironmentWhenNoneIsGiven) {
  ASSERT_EQ(::setenv("IMAGEBUILD_PROCESS_TEST", "here", 1), 0);
  EXPECT_EQ(run(shell("echo $IMAGEBUILD_PROCESS_TEST"))->stdout_text, "here\n");
}

TEST(Process, RunsInTheDirectoryGiven) {
  ProcessSpec spec = shell("pwd");
  spec.directory = "/";
  EXPECT_EQ(run(spec)->stdout_text, "/\n");
}

TEST(Process, NamesADirectoryThatDoesNotExist) {
  ProcessSpec spec = shell("pwd");
  spec.directory = "/no/such/folder";
  const Result<ProcessResult> result = run(spec);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_NE(result.error().message.find("/no/such/folder"), std::string::npos);
}

TEST(Process, GivesStandardInput) {
  ProcessSpec spec = shell("cat");
  spec.stdin_text = std::string(500'000, 'i') + "\n";
  EXPECT_TRUE(run(spec)->stdout_text == spec.stdin_text);
}

TEST(Process, StandardInputIsEmptyByDefault) {
  EXPECT_EQ(run(shell("cat; echo done"))->stdout_text, "done\n");
}

TEST(Process, AProgramThatIgnoresItsInputIsNoError) {
  ProcessSpec spec = shell("exit 0");
  spec.stdin_text = std::string(500'000, 'i');
  EXPECT_EQ(run(spec)->exit_status, 0);
}

TEST(Process, LargeOutputOfBothStreamsDoesNotBlock) {
  const Result<ProcessResult> result =
      run(shell("i=0; while [ $i -lt 2000 ]; do printf '%0100d' 1; printf '%0100d' 2 >&2; i=$((i+1)); done"));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->stdout_text.size(), 200'000U);
  EXPECT_EQ(result->stderr_text.size(), 200'000U);
}

TEST(Process, TooMuchOutputIsALimitAndEndsTheProgram) {
  ProcessSpec spec = shell("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done");
  spec.max_output_bytes = 10'000;
  const Result<ProcessResult> result = run(spec);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kLimit);
}

TEST(Process, OutputGoesToTheCallbackInstead) {
  ProcessSpec spec = shell("echo one; echo two >&2");
  std::string out;
  std::string err;
  spec.on_output = [&](int stream, std::string_view piece) { (stream == 1 ? out : err).append(piece); };
  const Result<ProcessResult> result = run(spec);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(out, "one\n");
  EXPECT_EQ(err, "two\n");
  EXPECT_EQ(result->stdout_text, "");
}

TEST(Process, AMissingProgramIsNotFoundAndNamed) {
  for (const char* name : {"imagebuild-no-such-program", "/no/such/program", "./no-such-program"}) {
    ProcessSpec spec;
    spec.argv = {name};
    const Result<ProcessResult> result = run(spec);
    ASSERT_FALSE(result.ok()) << name;
    EXPECT_EQ(result.error().code, ErrorCode::kNotFound) << name;
    EXPECT_NE(result.error().message.find(name), std::string::npos) << result.error().message;
  }
}

TEST(Process, WhatCannotBeExecutedIsDenied) {
  ProcessSpec spec;
  spec.argv = {"/etc/passwd"};
  EXPECT_EQ(run(spec).error().code, ErrorCode::kDenied);
}

TEST(Process, NoProgramAtAllIsAnError) {
  EXPECT_EQ(run(ProcessSpec{}).error().code, ErrorCode::kInternal);
}

TEST(Process, OnlyTheDescriptorsNamedAreInherited) {
  const UniqueFd leaked(::open("/dev/null", O_RDONLY));  // Without O_CLOEXEC, as a careless library would.
  ASSERT_TRUE(leaked.valid());
  const std::string there = "/proc/$$/fd/" + std::to_string(leaked.get());
  EXPECT_EQ(run(shell("[ -e " + there + " ] && echo open || echo closed"))->stdout_text, "closed\n");
  ProcessSpec spec = shell("[ -e " + there + " ] && echo open || echo closed");
  spec.inherited_fds = {{leaked.get(), leaked.get()}};
  EXPECT_EQ(run(spec)->stdout_text, "open\n");
}

TEST(Process, DescriptorsArriveUnderTheirNewNumbers) {
  const TempDir dir = std::move(*TempDir::create("process-test-"));
  ASSERT_TRUE(write_file_atomically(dir.path() / "a", "first").ok());
  ASSERT_TRUE(write_file_atomically(dir.path() / "b", "second").ok());
  const UniqueFd first = std::move(*open_file(dir.path() / "a", O_RDONLY));
  const UniqueFd second = std::move(*open_file(dir.path() / "b", O_RDONLY));
  ProcessSpec spec = shell("cat <&3; echo; cat <&4");
  // Crossed: each target may be another's source.
  spec.inherited_fds = {{first.get(), 4}, {second.get(), 3}};
  EXPECT_EQ(run(spec)->stdout_text, "second\nfirst");
}

TEST(Process, AStopBeforeTheStartStartsNothing) {
  const auto source = std::make_shared<std::stop_source>();
  source->request_stop();
  EXPECT_EQ(run(shell("exit 0"), source->get_token()).error().code, ErrorCode::kCancelled);
}

// Waits for the program's first output, so that it is known to run.
Result<ProcessResult> stop_at_first_output(ProcessSpec spec) {
  const auto source = std::make_shared<std::stop_source>();
  spec.on_output = [&](int, std::string_view) { source->request_stop(); };
  return run(spec, source->get_token());
}

TEST(Process, AStoppedProgramGetsSigterm) {
  const TempDir dir = std::move(*TempDir::create("process-test-"));
  ProcessSpec spec = shell("trap 'echo got > told; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
  spec.directory = dir.path().string();
  const Result<ProcessResult> result = stop_at_first_output(spec);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(*read_file(dir.path() / "told", 10), "got\n");
}

TEST(Process, AProgramThatIgnoresSigtermIsKilled) {
  ProcessSpec spec = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
  spec.stop_grace = std::chrono::milliseconds(20);
  EXPECT_EQ(stop_at_first_output(spec).error().code, ErrorCode::kCancelled);
}

TEST(Process, AStopFromAnotherThreadEndsTheWait) {
  const auto source = std::make_shared<std::stop_source>();
  ProcessSpec spec = shell("echo ready; exec sleep 600");
  std::jthread stopper;
  spec.on_output = [&](int, std::string_view) { stopper = std::jthread([&] { source->request_stop(); }); };
  EXPECT_EQ(run(spec, source->get_token()).error().code, ErrorCode::kCancelled);
}

TEST(Process, ABackgroundChildThatKeepsThePipeDoesNotHoldUpTheEnd) {
  const Result<ProcessResult> result = run(shell("sleep 600 & echo $!; exit 4"));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_status, 4);
  ASSERT_FALSE(result->stdout_text.empty());
  EXPECT_EQ(run(shell("kill " + result->stdout_text))->exit_status, 0);
}

TEST(FindInPath, FindsExecutableFilesOnly) {
  const TempDir dir = std::move(*TempDir::create("path-test-"));
  std::ofstream(dir.path() / "tool") << "#!/bin/sh\n";
  std::ofstream(dir.path() / "data") << "x";
  ASSERT_EQ(::chmod((dir.path() / "tool").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir((dir.path() / "folder").c_str(), 0755), 0);
  const std::string before = std::getenv("PATH");
  ASSERT_EQ(::setenv("PATH", ("/nonexistent:" + dir.path().string()).c_str(), 1), 0);
  EXPECT_EQ(find_in_path("tool"), (dir.path() / "tool").string());
  EXPECT_EQ(find_in_path("data"), std::nullopt);
  EXPECT_EQ(find_in_path("folder"), std::nullopt);
  EXPECT_EQ(find_in_path("missing"), std::nullopt);
  EXPECT_EQ(find_in_path(""), std::nullopt);
  EXPECT_EQ(find_in_path((dir.path() / "tool").string()), (dir.path() / "tool").string());
  ASSERT_EQ(::setenv("PATH", before.c_str(), 1), 0);
}

}  // namespace
}  // namespace imagebuild
