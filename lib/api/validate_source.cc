#include "api/validate_source.h"

#include <algorithm>

#include "api/validate_values.h"
#include "oci/digest.h"
#include "oci/reference.h"

namespace imagebuild::api {

namespace {

constexpr std::size_t kMaxInlineBytes = 1024 * 1024;  // etcd takes no larger object.

bool has_space(const std::string& text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; });
}

// "https://user:password@host": everybody who may read the object would see it.
bool credentials_in(const std::string& url) {
  const auto begin = url.find("://") + 3;
  const std::string host = url.substr(begin, url.find('/', begin) - begin);
  const auto at = host.rfind('@');
  return at != std::string::npos && host.find(':') < at;
}

class SourceChecks {
 public:
  explicit SourceChecks(std::string field) : field_(std::move(field)) {}

  std::vector<Problem> run(const Source& source) {
    if (source.git) git(*source.git);
    if (source.http) http(*source.http);
    if (source.inline_files) inline_files(*source.inline_files);
    if (source.config_map) check("configMapRef.name", name_mistake(source.config_map->name));
    if (source.claim) check("persistentVolumeClaim.claimName", name_mistake(source.claim->claim_name));
    if (source.oci) {
      const Result<oci::Reference> reference = oci::Reference::parse(source.oci->image);
      if (!reference.ok()) problem("oci.image", reference.error().message);
    }
    if (!source.sub_path.empty()) check("subPath", path_mistake(source.sub_path));
    return std::move(problems_);
  }

 private:
  void problem(const std::string& below, std::string message) {
    problems_.push_back(Problem{field_ + "." + below, std::move(message)});
  }
  void check(const std::string& below, const std::string& mistake) {
    if (!mistake.empty()) problem(below, mistake);
  }
  void secret(const std::string& below, const std::optional<SecretRef>& ref) {
    if (ref) check(below + ".name", name_mistake(ref->name));
  }

  // Git takes an address or revision that begins with '-' for an option.
  void git(const GitSource& git) {
    const auto scheme = git.url.find("://");
    if (git.url.empty()) {
      problem("git.url", "must not be empty");
    } else if (has_space(git.url)) {
      problem("git.url", "must not have spaces or control characters");
    } else if (scheme != std::string::npos) {
      const std::string name = git.url.substr(0, scheme);
      if (name != "https" && name != "http" && name != "ssh" && name != "git") {
        problem("git.url", "must begin with https, http, ssh or git, not with '" + name + "'");
      } else if (credentials_in(git.url)) {
        problem("git.url", "must not contain a password; put it into a Secret and name that in secretRef");
      }
    } else if (git.url.front() == '-' || git.url.find('@') == std::string::npos ||
               git.url.find(':') == std::string::npos) {
      problem("git.url", "must be an address such as https://host/path or git@host:path");
    }
    if (git.revision.starts_with('-')) problem("git.revision", "must not begin with '-'");
    if (has_space(git.revision)) problem("git.revision", "must not have spaces or control characters");
    if (git.depth.value_or(kDefaultGitDepth) < 0) problem("git.depth", "must not be negative");
    secret("git.secretRef", git.secret);
  }

  void http(const HttpSource& http) {
    const bool known = http.url.starts_with("https://") || http.url.starts_with("http://");
    if (!known || http.url.ends_with("://") || has_space(http.url)) {
      problem("http.url", "must be an http or https address");
    } else if (credentials_in(http.url)) {
      problem("http.url", "must not contain a password; put it into a Secret and name that in secretRef");
    }
    if (!http.sha256.empty() && !oci::Digest::parse("sha256:" + http.sha256).ok()) {
      problem("http.sha256", "must be 64 lower-case hexadecimal digits");
    }
    secret("http.secretRef", http.secret);
  }

  void inline_files(const InlineSource& source) {
    if (source.files.empty()) problem("inline.files", "must have at least one file");
    std::size_t bytes = 0;
    for (const auto& [path, text] : source.files) {
      const std::string at = "inline.files[" + path + "]";
      check(at, path_mistake(path));
      bytes += path.size() + text.size();
      for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        if (!source.files.contains(path.substr(0, slash))) continue;
        problem(at, "is below '" + path.substr(0, slash) + "', which is a file");
      }
    }
    if (bytes > kMaxInlineBytes) problem("inline.files", "must not be larger than 1 MiB together");
  }

  const std::string field_;
  std::vector<Problem> problems_;
};

}  // namespace

int kinds_of(const Source& source) {
  return source.git.has_value() + source.http.has_value() + source.inline_files.has_value() +
         source.config_map.has_value() + source.claim.has_value() + source.oci.has_value();
}

std::vector<Problem> source_problems(const Source& source, const std::string& field) {
  return SourceChecks(field).run(source);
}

}  // namespace imagebuild::api
