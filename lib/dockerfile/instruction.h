// The instructions of a Dockerfile as typed values: what the parser makes and the planner reads.
// Rules: the Dockerfile reference, and BuildKit's stable front end where that is silent. Nothing here is expanded.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "dockerfile/location.h"
#include "dockerfile/mount.h"

namespace imagebuild::dockerfile {

// `<<NAME` … NAME of RUN, COPY and ADD.
struct Heredoc {
  std::string name;
  std::string content;      // The lines between, as written, each with its line ending.
  bool expand = true;       // False when any part of the delimiter is quoted.
  bool strip_tabs = false;  // `<<-`
  unsigned fd = 0;          // `3<<EOF`; 0 when none is written.
  Position at;              // Of the word `<<NAME`.
  Position content_at;      // Of the content's first byte.

  // The content with the leading tabs of each line removed if strip_tabs.
  std::string text() const;
};

// The command of RUN, CMD, ENTRYPOINT and HEALTHCHECK CMD.
struct CommandLine {
  bool exec = false;              // The JSON form: argv is run as it is, without a shell.
  std::vector<Word> argv;         // exec only. JSON escapes are decoded; no variable is ever expanded here.
  Word shell;                     // Shell form: the text for the shell, continuation lines joined.
  std::vector<Heredoc> heredocs;  // RUN in shell form only.
};

// How the shell form of a RUN is executed.
struct Script {
  std::string text;         // What follows `sh -c`, or the content of the file to run.
  bool is_program = false;  // The RUN is one heredoc that begins with "#!": run it as an executable file …
  std::string name;         // … of this name (the heredoc's delimiter).
};
// BuildKit's rule: a RUN that is nothing but one heredoc runs that text; otherwise the heredocs are put back behind
// the command line for the shell to read. The command line must be in shell form.
Script script_of(const CommandLine& command);

struct KeyValue {
  Word key;
  Word value;
};

struct From {
  Word image;                    // An image, an earlier stage, a named context or "scratch".
  std::optional<Word> platform;  // --platform
  std::optional<Word> as;        // The keyword between image and name, as written; with `name` only.
  std::optional<Word> name;      // AS name; as written (names compare without case).
};

enum class Network { kDefault, kNone, kHost };
enum class Security { kSandbox, kInsecure };

struct Run {
  std::vector<Mount> mounts;
  Network network = Network::kDefault;
  std::optional<Word> network_word;  // As written, for messages.
  Security security = Security::kSandbox;
  std::optional<Word> security_word;
  std::vector<Word> devices;  // --device
  CommandLine command;
};

struct Cmd {
  CommandLine command;  // exec with an empty argv clears the inherited command.
};

struct Entrypoint {
  CommandLine command;
};

struct Shell {
  std::vector<Word> argv;  // Never empty.
};

// A file of COPY <<name dest; its path in the destination is heredoc.name.
using InlineFile = Heredoc;

// What COPY and ADD share. Sources keep their written order in two lists, as in BuildKit: paths and inline files.
struct CopySources {
  std::vector<Word> paths;
  std::vector<InlineFile> files;
  Word destination;
  std::optional<Word> chown;
  std::optional<Word> chmod;
  bool link = false;
  std::vector<Word> exclude;
};

struct Copy {
  CopySources sources;
  std::optional<Word> from;  // Never contains a variable. Its position is that of the flag (`--from=…`).
  bool parents = false;
};

struct Add {
  CopySources sources;
  std::optional<Word> checksum;
  std::optional<bool> keep_git_dir;
  std::optional<bool> unpack;  // Unset: archives of the context are unpacked, downloads are not.
};

struct Env {
  std::vector<KeyValue> pairs;
  bool legacy = false;  // `ENV key value with blanks`: one pair.
};

struct ArgDeclaration {
  Word name;
  std::optional<Word> value;
};

struct Arg {
  std::vector<ArgDeclaration> declarations;
};

struct Label {
  std::vector<KeyValue> pairs;
  bool legacy = false;
};

struct Expose {
  std::vector<Word> ports;  // See parse_port_range() in values.h.
};

struct Volume {
  std::vector<Word> paths;
};

struct User {
  Word user;
};

struct Workdir {
  Word path;
};

struct StopSignal {
  Word signal;
};

struct Maintainer {
  Word name;
};

struct HealthCheck {
  bool none = false;  // HEALTHCHECK NONE: nothing below is set.
  CommandLine command;
  std::optional<std::chrono::nanoseconds> interval;
  std::optional<std::chrono::nanoseconds> timeout;
  std::optional<std::chrono::nanoseconds> start_period;
  std::optional<std::chrono::nanoseconds> start_interval;
  std::optional<int> retries;
};

struct Instruction;

struct Onbuild {
  std::shared_ptr<const Instruction> trigger;  // Never null; never ONBUILD, FROM or MAINTAINER.
  std::string text;  // What the image config stores: the trigger on one line, heredocs behind it. See parse_trigger().
};

using Command = std::variant<From, Run, Cmd, Entrypoint, Shell, Copy, Add, Env, Arg, Label, Expose, Volume, User,
                             Workdir, StopSignal, Maintainer, HealthCheck, Onbuild>;

struct Instruction {
  std::string keyword;  // As written ("run").
  Position at;          // Of the keyword.
  int last_line = 0;    // The line the instruction ends on, continuations and heredocs included; counts from 1.
  std::string source;   // Its lines as written, without the last line ending.
  std::string text;  // One line: upper-case keyword, then flags and arguments with continuations joined; no heredocs.
  Command command;
};

// The upper-case keyword of a command: "RUN".
std::string_view keyword_of(const Command& command);

}  // namespace imagebuild::dockerfile
